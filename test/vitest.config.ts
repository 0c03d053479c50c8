import { defineConfig } from "vitest/config";

// `pure` needs no service; `services`, `fuzz` and `bench` (the last two by commands of their own alone) start a real Postgres and a real broker of its own, three files at a time, since most of what they do is wait: each file owns its database and its broker.
// Loading the service costs more than most files do, so the files of one worker load it once.
export default defineConfig({
  test: {
    maxWorkers: 3,
    projects: [
      {
        test: {
          name: "pure",
          isolate: false,
          include: ["test/rooms/**/*.test.ts", "test/machines/**/*.test.ts", "test/faults/{history,simulation}/**/*.test.ts", "test/bench/*.test.ts"],
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: "services",
          isolate: false,
          include: ["test/promises/**/*.test.ts", "test/faults/chaos/**/*.test.ts", "test/upgrade/**/*.test.ts"],
          globalSetup: ["test/support/postgres-binaries.ts"],
          testTimeout: 300_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: "fuzz",
          isolate: false,
          include: ["test/faults/fuzz/**/*.test.ts"],
          globalSetup: ["test/support/postgres-binaries.ts"],
          testTimeout: 300_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: "bench",
          include: ["test/bench/audit/**/*.test.ts"],
          globalSetup: ["test/support/postgres-binaries.ts"],
        },
      },
    ],
  },
});
