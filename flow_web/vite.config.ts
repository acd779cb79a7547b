import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [react()],
  build: {
    // The Python server serves this folder at `/`, on the port of its API.
    outDir: "../flow/web",
    emptyOutDir: true,
    manifest: true,
    target: "es2022",
  },
  test: {
    environment: "happy-dom",
    include: ["src/**/*.test.{ts,tsx}", "budget.test.ts"],
    setupFiles: ["src/app/test-setup.ts"],
    restoreMocks: true,
  },
});
