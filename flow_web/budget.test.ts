// @vitest-environment node
import { gzipSync } from "node:zlib";

import { build } from "vite";
import { expect, test } from "vitest";

const KILOBYTE = 1_000;
const INITIAL_JS_MAX_BYTES = 200 * KILOBYTE;
const CSS_MAX_BYTES = 20 * KILOBYTE;

const gzipBytes = (text: string | Uint8Array): number => gzipSync(text).byteLength;
const total = (sizes: readonly number[]): number => sizes.reduce((sum, size) => sum + size, 0);

test("the first load stays within its budget", { timeout: 60_000 }, async () => {
  const built = await build({ mode: "production", logLevel: "silent", build: { write: false } });
  const files = [built].flat().flatMap((result) => ("output" in result ? result.output : []));
  const initial = files.filter((file) => file.type === "chunk" && !file.isDynamicEntry);
  const styles = files.filter((file) => file.fileName.endsWith(".css"));

  const js = total(initial.map((file) => (file.type === "chunk" ? gzipBytes(file.code) : 0)));
  const css = total(styles.map((file) => (file.type === "asset" ? gzipBytes(file.source) : 0)));

  expect(js).toBeGreaterThan(0);
  expect(js).toBeLessThanOrEqual(INITIAL_JS_MAX_BYTES);
  expect(css).toBeLessThanOrEqual(CSS_MAX_BYTES);
});
