const tests = (project, files) => `node test/support/run-tests.mjs --project ${project} ${files}`;

export const checks = [
  {
    required:
      "The attack table, each attack done by a superuser or with a stolen key, each detected by the named means; the window that is not covered is stated with its length. An edit of any byte of any column on which a verdict, fact, state or outcome rests is found, column by column.",
    command: tests("services", "test/promises/audit/attacks.test.ts test/promises/audit/verify.test.ts test/promises/audit/columns.test.ts"),
    env: { COLUMNS_ALONE: "1" },
    figures: ["attacks", "columns", "columns.tiles"],
  },
  {
    required: "Public vectors pass, mutated ones fail; an independent verifier agrees on 1,000 generated proofs; a checkpoint verifies with stock openssl.",
    command: tests("pure", "test/rooms/audit"),
    figures: ["vectors.inclusion", "vectors.consistency", "oracle", "openssl"],
  },
  {
    required:
      "1,000,000 entries: appending costs the route less than 10 %; a proof over REST under 20 ms; full offline verification with replay at 10,000 entries a second or better.",
    command: "npm run --silent bench:audit",
    figures: ["append", "append.cost", "proof", "proof.most", "offline", "offline.rate"],
    holds: (seen) => Number(seen.get("append.cost")) < 10 && Number(seen.get("proof.most")) < 20 && Number(seen.get("offline.rate")) >= 10_000,
  },
  {
    required: "Replay of 100,000 decided signals agrees completely; a candidate recipe with one tightened limit lists exactly the affected decisions.",
    command: tests("services", "test/promises/replay"),
    env: { SIGNALBOX_REPLAY_SIGNALS: "100000" },
    figures: ["replay.agrees", "replay.candidate"],
  },
  {
    required:
      "For every code that can occur, the record's sentence contains the guard's expected and actual value, the limit where there is one, and what to do next; checked against the stored explanation.",
    command: tests("pure", "test/rooms/decide/sentences.test.ts"),
    figures: ["sentences"],
  },
];
