/** When a ring comes again: the server's presets, which know the zone, the hour and the settings. */
import { useQuery } from "convex/react";

import { api } from "../../sync/api";
import type { SnoozePreset } from "../../sync/api";
import { dateIn, dueLabel, timeIn } from "../../ui/dates";
import { useHomeDay } from "../../ui/home-day";
import { Menu } from "../../ui/menu";

type SnoozeMenuProps = {
  title: string;
  anchor: DOMRect;
  onChoose: (preset: SnoozePreset) => void;
  onClose: () => void;
};

export const SnoozeMenu = ({ title, anchor, onChoose, onClose }: SnoozeMenuProps) => {
  const presets = useQuery(api.reminders.snooze_presets, {});
  const { zone, today } = useHomeDay();
  if (presets === undefined) {
    return null;
  }
  const items = presets.map((preset) => ({
    label: preset.label,
    hint: dueLabel(dateIn(zone, preset.at), timeIn(zone, preset.at), today),
    onSelect: () => onChoose(preset),
  }));
  return (
    <Menu
      label={`Snooze ${title}`}
      groups={[{ label: "Ring again", items }]}
      anchor={anchor}
      onClose={onClose}
    />
  );
};
