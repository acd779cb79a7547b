/** A menu in the browser's top layer: arrows walk, letters jump, Escape and clicks beside close. */
import { Fragment, useEffect, useLayoutEffect, useRef } from "react";
import type { KeyboardEvent } from "react";

import styles from "./menu.module.css";

const EDGE = 8; // CSS px that a menu keeps from the window's edge.

export type MenuItem = {
  label: string;
  onSelect: () => void;
  hint?: string;
  disabled?: boolean;
  danger?: boolean;
};

export type MenuGroup = { label: string; items: readonly MenuItem[] };

type MenuProps = {
  label: string;
  groups: readonly MenuGroup[];
  /** Where to open, in CSS px of the window: the rectangle of what opened it. */
  anchor: DOMRect;
  onClose: () => void;
};

/** Put a popover beside what opened it, within the window. */
export const placeBeside = (menu: HTMLElement, anchor: DOMRect): void => {
  const { width, height } = menu.getBoundingClientRect();
  const left = Math.min(anchor.right - width, window.innerWidth - width - EDGE);
  const below = anchor.bottom + 4;
  const above = anchor.top - height - 4;
  const fits = below + height + EDGE <= window.innerHeight || above < EDGE;
  const top = fits ? Math.min(below, window.innerHeight - height - EDGE) : above;
  menu.style.left = `${Math.max(EDGE, left)}px`;
  menu.style.top = `${Math.max(EDGE, top)}px`;
};

const itemsOf = (menu: HTMLElement): HTMLButtonElement[] => [
  ...menu.querySelectorAll<HTMLButtonElement>("[role=menuitem]:not(:disabled)"),
];

/** Return the item that `key` leads to from the one in focus, if the key is one of the menu's. */
const itemFor = (
  key: string,
  items: readonly HTMLButtonElement[],
  current: number,
): HTMLButtonElement | undefined => {
  switch (key) {
    case "ArrowDown":
      return items[(current + 1) % items.length];
    case "ArrowUp":
      return items.at(current <= 0 ? -1 : current - 1);
    case "Home":
      return items[0];
    case "End":
      return items.at(-1);
    default: {
      if (key.length !== 1) {
        return undefined;
      }
      const rest = [...items.slice(current + 1), ...items.slice(0, current + 1)];
      const letter = key.toLowerCase();
      return rest.find((item) => item.textContent?.toLowerCase().startsWith(letter));
    }
  }
};

export const Menu = ({ label, groups, anchor, onClose }: MenuProps) => {
  const ref = useRef<HTMLDivElement>(null);
  const close = useRef(onClose);
  useEffect(() => {
    close.current = onClose;
  });

  useLayoutEffect(() => {
    const menu = ref.current;
    if (menu === null) {
      return undefined;
    }
    const onToggle = (event: Event) => {
      if ((event as ToggleEvent).newState === "closed") {
        close.current();
      }
    };
    menu.showPopover();
    placeBeside(menu, anchor);
    itemsOf(menu)[0]?.focus();
    menu.addEventListener("toggle", onToggle);
    return () => {
      menu.removeEventListener("toggle", onToggle);
      menu.hidePopover();
    };
  }, [anchor]);

  const onKeyDown = (event: KeyboardEvent<HTMLDivElement>) => {
    if (event.key === "Tab" || event.key === "Escape") {
      event.preventDefault();
      onClose();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    const items = itemsOf(event.currentTarget);
    const current = items.findIndex((item) => item === document.activeElement);
    const next = itemFor(event.key, items, current);
    if (next !== undefined) {
      event.preventDefault();
      next.focus();
    }
  };

  return (
    <div
      ref={ref}
      popover="auto"
      role="menu"
      tabIndex={-1}
      aria-label={label}
      className={styles.menu}
      onKeyDown={onKeyDown}
    >
      {groups.map((group, index) => (
        <Fragment key={group.label}>
          {index > 0 && <hr className={styles.rule} />}
          <div role="group" aria-label={group.label}>
            <div className={styles.heading} aria-hidden="true">
              {group.label}
            </div>
            {group.items.map((item) => (
              <button
                key={item.label}
                type="button"
                role="menuitem"
                tabIndex={-1}
                className={styles.item}
                data-danger={item.danger}
                disabled={item.disabled}
                onClick={() => {
                  onClose();
                  item.onSelect();
                }}
              >
                <span>{item.label}</span>
                {item.hint !== undefined && (
                  <kbd className={styles.hint} aria-hidden="true">
                    {item.hint}
                  </kbd>
                )}
              </button>
            ))}
          </div>
        </Fragment>
      ))}
    </div>
  );
};
