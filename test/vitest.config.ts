import { defineConfig } from "vitest/config";

// Two projects: `pure` needs no service; `services` starts a real Postgres and a real broker of its own, two files at a time: each file owns its database and its broker.
export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      {
        test: {
          name: "pure",
          include: ["test/rooms/**/*.test.ts", "test/machines/**/*.test.ts", "test/faults/{history,simulation}/**/*.test.ts"],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: "services",
          include: ["test/promises/**/*.test.ts", "test/faults/{chaos,fuzz}/**/*.test.ts", "test/upgrade/**/*.test.ts"],
          globalSetup: ["test/support/postgres-binaries.ts"],
          testTimeout: 300_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
