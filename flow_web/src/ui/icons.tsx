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

export const SearchIcon = () => (
  <Icon>
    <path d="M8 13.2a5.200 5.200 0 1 0 0-10.400 5.200 5.200 0 0 0 0 10.400m3.800-1.400 3.400 3.400" />
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

export const CheckCircleIcon = () => (
  <Icon>
    <circle cx="9" cy="9" r="6.2" />
    <path d="m6.4 9.2 1.9 1.8 3.4-3.8" />
  </Icon>
);

export const NoteIcon = () => (
  <Icon>
    <path d="M4 6h10M4 9h10M4 12h6" />
  </Icon>
);

export const TodayIcon = () => (
  <Icon>
    <rect x="2.8" y="3.6" width="12.4" height="11.6" rx="3" />
    <path d="M2.8 7.4h12.4M6.2 2.2v2.6M11.8 2.2v2.6" />
    <path d="m6.8 11.2 1.6 1.5 2.8-3.1" />
  </Icon>
);

export const InboxIcon = () => (
  <Icon>
    <path d="M2.8 10 4.7 4.2a1.6 1.6 0 0 1 1.5-1.1h5.6a1.6 1.6 0 0 1 1.5 1.1L15.2 10v3.2a1.8 1.8 0 0 1-1.8 1.8H4.6a1.8 1.8 0 0 1-1.8-1.8z" />
    <path d="M2.8 10h3.4l1.2 2h3.2l1.2-2h3.4" />
  </Icon>
);

export const NotesIcon = () => (
  <Icon>
    <path d="M4 4.6A1.8 1.8 0 0 1 5.8 2.8h4.6L14 6.4v7a1.8 1.8 0 0 1-1.8 1.8H5.8A1.8 1.8 0 0 1 4 13.4z" />
    <path d="M6.8 8.6h4.4M6.8 11.6h3" />
  </Icon>
);

export const BellIcon = () => (
  <Icon>
    <path d="M4.6 8a4.4 4.4 0 0 1 8.8 0c0 3.4 1.4 4.4 1.4 4.4H3.200S4.6 11.4 4.6 8z" />
    <path d="M7.4 15a1.8 1.8 0 0 0 3.2 0" />
  </Icon>
);

export const ColumnsIcon = () => (
  <Icon>
    <rect x="2.8" y="3" width="3.6" height="12" rx="1.4" />
    <rect x="7.6" y="3" width="3.6" height="8" rx="1.4" />
    <rect x="12.4" y="3" width="2.8" height="10" rx="1.4" />
  </Icon>
);

export const SettingsIcon = () => (
  <Icon>
    <path d="M3 5.600h5.400m3.6 0h3M3 12.400h3m3.6 0h5.4" />
    <circle cx="10.2" cy="5.6" r="1.8" />
    <circle cx="7.8" cy="12.4" r="1.8" />
  </Icon>
);

export const ClockIcon = () => (
  <Icon>
    <circle cx="9" cy="9" r="6.2" />
    <path d="M9 5.600V9l2.2 1.6" />
  </Icon>
);

export const RepeatIcon = () => (
  <Icon>
    <path d="M3.6 8.600V7.800a2.6 2.6 0 0 1 2.6-2.600h7.400m-2.2-2.4 2.4 2.4-2.4 2.4" />
    <path d="M14.4 9.400v.8a2.6 2.6 0 0 1-2.6 2.600H4.400m2.2 2.4-2.4-2.4 2.4-2.4" />
  </Icon>
);

export const FlagIcon = () => (
  <Icon>
    <path d="M4.6 15.400V3.400c3-1.8 5.8 1.8 8.8 0v6.400c-3 1.8-5.8-1.8-8.8 0" />
  </Icon>
);

export const LinkIcon = () => (
  <Icon>
    <path d="M7.6 10.400a2.6 2.6 0 0 0 3.8 0l2.4-2.400a2.7 2.7 0 0 0-3.8-3.800l-.8.8" />
    <path d="M10.4 7.600a2.6 2.6 0 0 0-3.8 0L4.2 10A2.7 2.7 0 0 0 8 13.800l.8-.8" />
  </Icon>
);

export const TrashIcon = () => (
  <Icon>
    <path d="M3.6 5.200h10.800M7 5V3.400h4V5m2 .2-.6 8.200a1.6 1.6 0 0 1-1.6 1.400H7.200a1.6 1.6 0 0 1-1.6-1.400L5 5.2" />
  </Icon>
);

export const PinIcon = () => (
  <Icon>
    <path d="M6.200 2.800h5.600l-.6 4.600 2 2.600H4.800l2-2.600zM9 10v5.200" />
  </Icon>
);

export const PenIcon = () => (
  <Icon>
    <path d="m3.400 14.600.7-3.100 7.300-7.300a1.500 1.500 0 0 1 2.100 0l.3.3a1.500 1.500 0 0 1 0 2.100l-7.300 7.300z" />
  </Icon>
);

export const BackIcon = () => (
  <Icon>
    <path d="M10.800 4.200 6 9l4.800 4.800" />
  </Icon>
);

export const DownIcon = () => (
  <Icon>
    <path d="m5.400 7.400 3.600 3.600 3.600-3.600" />
  </Icon>
);

export const WarningIcon = () => (
  <Icon>
    <path d="M9 3.4 2.8 14.200h12.400zM9 7.600v2.800m0 1.800h.01" />
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
