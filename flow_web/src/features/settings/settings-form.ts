/** Settings as a form holds them, and the change that a filled form asks for. */
import type { Settings, SettingsPatch } from "../../sync/api";

/** Empty texts stand for what is not set; the secret is never told, so it is empty at first. */
export type SettingsForm = Omit<Settings, "quiet_from" | "quiet_until" | "webhook_url"> & {
  quiet_from: string;
  quiet_until: string;
  webhook_url: string;
  webhook_secret: string;
};

export const formOf = (settings: Settings): SettingsForm => ({
  ...settings,
  quiet_from: settings.quiet_from ?? "",
  quiet_until: settings.quiet_until ?? "",
  webhook_url: settings.webhook_url ?? "",
  webhook_secret: "",
});

/** Return what differs from the form as it was opened. Quiet hours change as a pair. */
export const changesOf = (opened: SettingsForm, form: SettingsForm): SettingsPatch => {
  const { quiet_from, quiet_until, webhook_url, webhook_secret, ...plain } = form;
  const changed = Object.entries(plain).filter(
    ([name, value]) => value !== opened[name as keyof SettingsForm],
  );
  const quiet = quiet_from !== opened.quiet_from || quiet_until !== opened.quiet_until;
  return {
    ...Object.fromEntries(changed),
    ...(quiet && { quiet_from: quiet_from || null, quiet_until: quiet_until || null }),
    ...(webhook_url !== opened.webhook_url && { webhook_url }),
    ...(webhook_secret !== "" && { webhook_secret }),
  };
};
