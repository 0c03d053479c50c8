// What is mutated, by what, and what is left alone for which reason. `npm run mutation` runs it room by room.
export default {
  testRunner: "warm",
  plugins: ["./test/mutation/runner.mjs"],
  mutate: ["src/{sequence,decide,commit}/**/*.ts"],
  coverageAnalysis: "perTest",
  ignorers: ["wording"],
  // tables that are made while a module is loaded: what is in them is held by the tests of each table, and trying them would mean loading everything anew for each
  ignoreStatic: true,
  concurrency: 1,
  // endless loops are found by counting how often the mutant is met; the clock is for what hangs otherwise, and generous, so that a busy machine turns no survivor into a time-out
  timeoutMS: 120_000,
  incremental: true,
  incrementalFile: ".cache/mutation/incremental.json",
  tempDirName: ".cache/mutation/tmp",
  ignorePatterns: ["dist", "docs", "deploy", "examples", ".cache"],
  reporters: ["progress-append-only"],
};
