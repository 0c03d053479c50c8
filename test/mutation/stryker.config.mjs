// What is mutated, by what, and what is left alone for which reason. `npm run mutation` runs it room by room.
export default {
  testRunner: "warm",
  plugins: ["./test/mutation/runner.mjs"],
  mutate: ["src/{sequence,decide,commit}/**/*.ts"],
  coverageAnalysis: "perTest",
  ignoreStatic: true,
  concurrency: 1,
  timeoutMS: 20_000,
  incremental: true,
  incrementalFile: ".cache/mutation/incremental.json",
  tempDirName: ".cache/mutation/tmp",
  ignorePatterns: ["dist", "docs", "deploy", "examples", ".cache"],
  reporters: ["progress-append-only"],
};
