/** Carries focus and motion over a re-render: cards glide, focus stays on its card. */
import { Component, createRef } from "react";
import type { HTMLAttributes, ReactNode } from "react";

import type { Task, TaskId } from "../../sync/api";

const GLIDE_MS = 180;
// Beyond this many cards, motion costs more than it explains.
const GLIDE_MAX = 200;

type SurfaceProps = HTMLAttributes<HTMLDivElement> & {
  tasks: readonly Task[];
  children: ReactNode;
};

type Seen = { places: Map<string, DOMRect>; focused: string | null };

const cardsIn = (root: HTMLElement): HTMLElement[] => [
  ...root.querySelectorAll<HTMLElement>("[data-task-id]"),
];

const idOf = (card: Element): string => card.getAttribute("data-task-id") ?? "";

const prefersStillness = (): boolean =>
  window.matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Let a copy fly from one column to the other: the columns would clip the card itself. */
const fly = (card: HTMLElement, from: DOMRect, to: DOMRect): void => {
  const copy = card.cloneNode(true) as HTMLElement;
  copy.removeAttribute("data-task-id");
  copy.inert = true;
  Object.assign(copy.style, {
    position: "fixed",
    left: `${to.left}px`,
    top: `${to.top}px`,
    width: `${to.width}px`,
    zIndex: "20",
    pointerEvents: "none",
    listStyle: "none",
  });
  document.body.append(copy);
  const timing = { duration: GLIDE_MS, easing: "ease-out" };
  card.animate([{ opacity: 0 }, { opacity: 0 }], timing);
  const flight = copy.animate(
    [
      { transform: `translate(${from.left - to.left}px, ${from.top - to.top}px)` },
      { transform: "none" },
    ],
    timing,
  );
  flight.addEventListener("finish", () => copy.remove());
  flight.addEventListener("cancel", () => copy.remove());
};

const glide = (card: HTMLElement, from: DOMRect): void => {
  const to = card.getBoundingClientRect();
  const x = from.left - to.left;
  const y = from.top - to.top;
  if (Math.abs(x) > to.width / 2) {
    fly(card, from, to);
  } else if (Math.abs(x) > 1 || Math.abs(y) > 1) {
    card.animate([{ transform: `translate(${x}px, ${y}px)` }, { transform: "none" }], {
      duration: GLIDE_MS,
      easing: "ease-out",
    });
  }
};

// A class, since only classes can look at the page just before React changes it.
export class BoardSurface extends Component<SurfaceProps> {
  readonly #root = createRef<HTMLDivElement>();
  #dropped: string | null = null;

  /** Say that the pointer has carried this card to its new place already. */
  dropped(task: TaskId): void {
    this.#dropped = task;
  }

  /** Give the focus to a card, if it is on the board. Returns: whether it was there. */
  focusCard(task: string): boolean {
    const root = this.#root.current;
    const card = root && cardsIn(root).find((candidate) => idOf(candidate) === task);
    card?.querySelector<HTMLElement>("[data-card-focus]")?.focus();
    return card !== null && card !== undefined;
  }

  /** Scroll to a card and give it the focus. Returns: whether it was there. */
  showCard(task: string): boolean {
    const root = this.#root.current;
    const card = root && cardsIn(root).find((candidate) => idOf(candidate) === task);
    card?.scrollIntoView({ block: "center", inline: "center" });
    card?.querySelector<HTMLElement>("[data-card-focus]")?.focus({ preventScroll: true });
    return card !== null && card !== undefined;
  }

  /** Give the focus to a card or, if it is gone, to whatever of the board comes first. */
  focusNear(task: string): void {
    if (!this.focusCard(task)) {
      const rest = "[data-card-focus], [data-add-card]";
      this.#root.current?.querySelector<HTMLElement>(rest)?.focus();
    }
  }

  override getSnapshotBeforeUpdate(previous: SurfaceProps): Seen | null {
    const root = this.#root.current;
    if (root === null || previous.tasks === this.props.tasks) {
      return null;
    }
    const places = new Map(
      cardsIn(root).map((card) => [idOf(card), card.getBoundingClientRect()]),
    );
    const focused = document.activeElement?.closest("[data-task-id]");
    return { places, focused: focused && root.contains(focused) ? idOf(focused) : null };
  }

  override componentDidUpdate(_: SurfaceProps, __: unknown, seen: Seen | null): void {
    const root = this.#root.current;
    if (root === null || seen === null) {
      return;
    }
    const cards = cardsIn(root);
    if (cards.length <= GLIDE_MAX && !prefersStillness()) {
      this.#glideAll(cards, seen.places);
    }
    this.#dropped = null;
    if (seen.focused !== null) {
      this.#keepFocus(seen.focused, [...seen.places.keys()]);
    }
  }

  #glideAll(cards: readonly HTMLElement[], places: ReadonlyMap<string, DOMRect>): void {
    for (const card of cards) {
      const from = places.get(idOf(card));
      if (from !== undefined && idOf(card) !== this.#dropped) {
        glide(card, from);
      }
    }
  }

  /** Put the focus back on its card, or on the next one if the card is gone. */
  #keepFocus(focused: string, order: readonly string[]): void {
    const active = document.activeElement;
    if (active !== null && active !== document.body) {
      return;
    }
    const at = order.indexOf(focused);
    const heirs = [focused, ...order.slice(at + 1), ...order.slice(0, at).toReversed()];
    if (!heirs.some((heir) => this.focusCard(heir))) {
      this.focusNear(focused);
    }
  }

  override render(): ReactNode {
    const { tasks: _, ...rest } = this.props;
    return <div ref={this.#root} {...rest} />;
  }
}
