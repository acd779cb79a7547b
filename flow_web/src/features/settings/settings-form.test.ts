import { expect, test } from "vitest";

import { makeSettings } from "../../sync/fake-server";
import { changesOf, formOf } from "./settings-form";

const opened = formOf(makeSettings({ webhook_url: "https://example.com/a" }));

test("a form that was not touched changes nothing", () => {
  expect(changesOf(opened, { ...opened })).toEqual({});
});

test("only what was changed is sent", () => {
  const form = { ...opened, morning: "08:00", week_starts: "sunday" } as const;

  expect(changesOf(opened, form)).toEqual({ morning: "08:00", week_starts: "sunday" });
});

test("quiet hours go as a pair, and away as a pair", () => {
  const quiet = { ...opened, quiet_from: "22:00", quiet_until: "07:00" };

  expect(changesOf(opened, quiet)).toEqual({ quiet_from: "22:00", quiet_until: "07:00" });
  expect(changesOf(quiet, opened)).toEqual({ quiet_from: null, quiet_until: null });
  expect(changesOf(quiet, { ...quiet, quiet_until: "06:30" })).toEqual({
    quiet_from: "22:00",
    quiet_until: "06:30",
  });
});

test("an empty address takes the webhook away, and an empty secret keeps the one there is", () => {
  expect(changesOf(opened, { ...opened, webhook_url: "" })).toEqual({ webhook_url: "" });
  expect(changesOf(opened, { ...opened, webhook_url: "https://b.example" })).toEqual({
    webhook_url: "https://b.example",
  });
});
