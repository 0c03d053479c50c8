export const checks = [
  {
    required:
      "20,000 seeds and two minutes of chaos, green, each fault and each of C0 to C19 hit at least 100 times over the seeds; by command 100,000 seeds and 30 minutes of chaos, recorded in docs/guarantees.md.",
    command: "npm run --silent seeds -- --count 20000 && npm run --silent chaos -- --minutes 2",
    figures: ["seeds", "seeds.leastHits", "chaos"],
    holds: (seen) => Number(seen.get("seeds.leastHits")) >= 100,
  },
  {
    required: "Each broken variant is caught; the right build passes the same seeds.",
    command: "npm run --silent variants",
    figures: ["acknowledge_on_receipt", "no_version_check", "outbox_by_last_id", "no_fencing", "no_identity_table", "patience_ignored", "obvious_consumer"].map(
      (variant) => `variant.${variant}`,
    ),
  },
  {
    required: "Two replicas, owner killed or stopped under load, also inside a commit: the other decides within 5 s.",
    command: "node test/support/run-tests.mjs --project services test/promises/owners.test.ts",
    env: { REQUIRE_MOSQUITTO: "1", SIGNALBOX_TAKEOVERS: "3" },
    figures: ["owners.takeover", "owners.takeover.most"],
    holds: (seen) => Number(seen.get("owners.takeover.most")) <= 5,
  },
  {
    required: "Mutation score at least 85 % in sequence, decide, commit; every survivor listed with the reason.",
    command: "npm run --silent mutation && npm run --silent mutation:check",
    figures: ["mutation"],
  },
  {
    required: "Every defect found on the way has its own test with the story in its first line.",
    command: "node test/show/defects.mjs",
    figures: ["defects"],
  },
];
