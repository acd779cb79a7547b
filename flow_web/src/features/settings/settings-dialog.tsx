/** The settings: where home is, when the parts of a day begin, and who else is told. */
import { useConvex, useQuery } from "convex/react";
import { useId, useState } from "react";
import type { FormEvent, ReactNode } from "react";

import { api } from "../../sync/api";
import type { Settings, SettingsPatch } from "../../sync/api";
import { refusalText } from "../../sync/refusal";
import { Dialog, DialogButtons } from "../../ui/dialog";
import { useNotices } from "../../ui/notices";
import { areKeysOn, switchKeys } from "../../ui/shortcut";
import { changesOf, formOf } from "./settings-form";
import type { SettingsForm } from "./settings-form";
import styles from "./settings-dialog.module.css";

export const SettingsDialog = ({ onClose }: { onClose: () => void }) => {
  const settings = useQuery(api.people.settings, {});
  return (
    <Dialog title="Settings" onClose={onClose}>
      {settings === undefined ? (
        <div aria-busy="true" />
      ) : (
        <SettingsFields settings={settings} onClose={onClose} />
      )}
    </Dialog>
  );
};

const DAY_PARTS = [
  { name: "morning", label: "Morning" },
  { name: "afternoon", label: "Afternoon" },
  { name: "evening", label: "Evening" },
  { name: "night", label: "Night" },
  { name: "workday_end", label: "End of work" },
  { name: "all_day_reminder", label: "All-day reminders" },
] as const;

type FieldsProps = { settings: Settings; onClose: () => void };

const SettingsFields = ({ settings, onClose }: FieldsProps) => {
  const client = useConvex();
  const { announce } = useNotices();
  // As they were on opening: others' changes meanwhile are kept, only what was changed here is sent.
  const [opened] = useState(() => formOf(settings));
  const [form, setForm] = useState(opened);
  const [keys, setKeys] = useState(areKeysOn);
  const [refused, setRefused] = useState("");
  const [saving, setSaving] = useState(false);
  const zonesId = useId();
  const set = (patch: Partial<SettingsForm>) => setForm((now) => ({ ...now, ...patch }));

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const changes: SettingsPatch = changesOf(opened, form);
    setSaving(true);
    try {
      if (Object.keys(changes).length > 0) {
        await client.mutation(api.people.change_settings, changes);
        announce("Settings saved");
      }
      switchKeys(keys);
      onClose();
    } catch (error) {
      setRefused(refusalText(error));
      setSaving(false);
    }
  };
  return (
    <form className={styles.form} onSubmit={submit}>
      <Group title="Home">
        <label className={styles.wide}>
          Time zone
          <input
            className="field"
            required
            list={zonesId}
            autoComplete="off"
            value={form.home_zone}
            onChange={(event) => set({ home_zone: event.target.value })}
          />
        </label>
        <datalist id={zonesId}>
          {Intl.supportedValuesOf("timeZone").map((zone) => (
            <option key={zone}>{zone}</option>
          ))}
        </datalist>
        <label>
          Week starts on
          <select
            className="field"
            value={form.week_starts}
            onChange={(event) =>
              set({ week_starts: event.target.value === "sunday" ? "sunday" : "monday" })
            }
          >
            <option value="monday">Monday</option>
            <option value="sunday">Sunday</option>
          </select>
        </label>
        <label>
          5/1 is
          <select
            className="field"
            value={form.date_order}
            onChange={(event) => set({ date_order: event.target.value === "dmy" ? "dmy" : "mdy" })}
          >
            <option value="mdy">May 1</option>
            <option value="dmy">5 January</option>
          </select>
        </label>
      </Group>
      <Group title="Parts of the day">
        {DAY_PARTS.map(({ name, label }) => (
          <TimeField
            key={name}
            label={label}
            required
            value={form[name]}
            onChange={(value) => set({ [name]: value })}
          />
        ))}
      </Group>
      <Group title="Quiet hours" hint="Nothing rings in between; it comes when they end.">
        <TimeField
          label="From"
          required={form.quiet_until !== ""}
          value={form.quiet_from}
          onChange={(quiet_from) => set({ quiet_from })}
        />
        <TimeField
          label="Until"
          required={form.quiet_from !== ""}
          value={form.quiet_until}
          onChange={(quiet_until) => set({ quiet_until })}
        />
      </Group>
      <Group title="Webhook" hint="Reminders are sent to this address too, signed with the secret.">
        <label className={styles.wide}>
          Address
          <input
            className="field"
            type="url"
            placeholder="https://example.com/flow"
            autoComplete="off"
            value={form.webhook_url}
            onChange={(event) => set({ webhook_url: event.target.value })}
          />
        </label>
        <label className={styles.wide}>
          Secret
          <input
            className="field"
            type="password"
            placeholder={opened.webhook_url === "" ? "At least 16 characters" : "Stays as it is"}
            autoComplete="new-password"
            value={form.webhook_secret}
            onChange={(event) => set({ webhook_secret: event.target.value })}
          />
        </label>
      </Group>
      <Group title="Keyboard">
        <label className={styles.check}>
          <input
            type="checkbox"
            checked={keys}
            onChange={(event) => setKeys(event.target.checked)}
          />
          Single keys act on this device: Q, J, K, 1, 2, 3, #
        </label>
      </Group>
      {refused !== "" && (
        <p className={styles.refused} role="alert">
          {refused}
        </p>
      )}
      <div className={styles.foot}>
        <DialogButtons>
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" className="button" data-kind="primary" disabled={saving}>
            Save
          </button>
        </DialogButtons>
      </div>
    </form>
  );
};

type GroupProps = { title: string; hint?: string; children: ReactNode };

const Group = ({ title, hint, children }: GroupProps) => (
  <fieldset className={styles.group}>
    <legend>{title}</legend>
    {hint !== undefined && <p className={styles.hint}>{hint}</p>}
    {children}
  </fieldset>
);

type TimeFieldProps = {
  label: string;
  required: boolean;
  value: string;
  onChange: (value: string) => void;
};

const TimeField = ({ label, required, value, onChange }: TimeFieldProps) => (
  <label>
    {label}
    <input
      className="field"
      type="time"
      required={required}
      value={value}
      onChange={(event) => onChange(event.target.value)}
    />
  </label>
);
