import { defineConfig } from "vitest/config";

// Two projects: `pure` needs no service; `services` starts a real Postgres and a real broker of its own, and runs file by file, since each file owns a database.
export default defineConfig({
  test: {
    projects: [
      { test: { name: "pure", include: ["test/rooms/**/*.test.ts", "test/machines/**/*.test.ts"], testTimeout: 20_000 } },
      {
        test: {
          name: "services",
          include: ["test/promises/**/*.test.ts", "test/faults/**/*.test.ts"],
          globalSetup: ["test/support/postgres-binaries.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
