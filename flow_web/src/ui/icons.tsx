/** The few drawings of the interface, in one stroke style; all are decoration beside a name. */
import type { ReactNode } from "react";

const Icon = ({ children }: { children: ReactNode }) => (
  <svg
    aria-hidden="true"
    width="18"
    height="18"
    viewBox="0 0 18 18"
    fill="none"
    stroke="currentColor"
    strokeWidth="1.6"
    strokeLinecap="round"
    strokeLinejoin="round"
  >
    {children}
  </svg>
);

export const PlusIcon = () => (
  <Icon>
    <path d="M9 3.5v11M3.5 9h11" />
  </Icon>
);

export const CloseIcon = () => (
  <Icon>
    <path d="m4.5 4.5 9 9m0-9-9 9" />
  </Icon>
);

export const MoreIcon = () => (
  <Icon>
    <path strokeWidth="2.2" d="M4 9h.01M9 9h.01M14 9h.01" />
  </Icon>
);

export const CheckIcon = () => (
  <Icon>
    <path d="m5.4 9.3 2.5 2.5 4.8-5.4" />
  </Icon>
);

export const BoardsIcon = () => (
  <Icon>
    <path d="M3 5h12M3 9h12M3 13h8" />
  </Icon>
);

export const NoteIcon = () => (
  <Icon>
    <path d="M4 6h10M4 9h10M4 12h6" />
  </Icon>
);

/** Three currents, one above the other. */
export const FlowMark = () => (
  <svg aria-hidden="true" width="26" height="26" viewBox="0 0 26 26" fill="none">
    <rect width="26" height="26" rx="8" fill="var(--accent)" />
    <g stroke="var(--accent-ink)" strokeWidth="2" strokeLinecap="round">
      <path d="M6 9.2c2.3-2.1 4.7-2.1 7 0s4.7 2.1 7 0" />
      <path d="M6 13.6c2.3-2.1 4.7-2.1 7 0s4.7 2.1 7 0" opacity=".75" />
      <path d="M6 18c2.3-2.1 4.7-2.1 7 0" opacity=".5" />
    </g>
  </svg>
);

/** How far along a board a column stands: an empty ring, then fuller, then ticked. */
export const ProgressMark = ({ part }: { part: number }) => {
  const around = 2 * Math.PI * 2.5;
  return (
    <svg aria-hidden="true" width="16" height="16" viewBox="0 0 16 16" fill="none">
      <circle
        cx="8"
        cy="8"
        r="6.2"
        stroke={part === 0 ? "var(--control-line)" : "var(--accent)"}
        strokeWidth="1.6"
        fill={part === 1 ? "var(--accent)" : "none"}
      />
      {part > 0 && part < 1 && (
        <circle
          cx="8"
          cy="8"
          r="2.5"
          stroke="var(--accent)"
          strokeWidth="5"
          strokeDasharray={`${around * part} ${around}`}
          transform="rotate(-90 8 8)"
        />
      )}
      {part === 1 && (
        <path
          d="m5.2 8.3 2 1.9 3.6-4.1"
          stroke="var(--accent-ink)"
          strokeWidth="1.6"
          strokeLinecap="round"
          strokeLinejoin="round"
        />
      )}
    </svg>
  );
};
