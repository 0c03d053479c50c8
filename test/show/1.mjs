const vitest = (files) => `node_modules/.bin/vitest run --config test/vitest.config.ts --project services ${files}`;

export const checks = [
  {
    required: "With a PATH that holds node and npm alone: /health/ready 200 within 60 s of npm ci ending; npm ci && npm test passes.",
    command: "node test/show/fresh-machine.mjs",
    figures: ["fresh.readySeconds", "fresh.test"],
    holds: (seen) => Number(seen.get("fresh.readySeconds")) <= 60 && seen.get("fresh.test").startsWith("passed"),
  },
  {
    required:
      "Section 6 of the contract, executed as written, and the same with paho and mosquitto_pub, MQTT 3.1.1 and 5; each verdict equals GET /v1/events/{verdict}.",
    command: vitest("test/promises/contract.test.ts test/promises/clients.test.ts"),
    env: { REQUIRE_MOSQUITTO: "1" },
    figures: ["contract.embedded", "contract.mosquitto", "clients"],
  },
  {
    required:
      "20 sources, 1,000 events three times, shuffled: same facts. Each type that does not wait acts at once, once. Four dependent sources, any interleaving: same facts, none illegal, none open.",
    command: vitest("test/promises/order.test.ts"),
    figures: ["order.shuffled", "order.ahead", "order.dependent"],
  },
  {
    required:
      "kill -9 20 times in 5,000 events through mosquitto, each with an unacknowledged message in flight, all of C0 to C11 hit: no fact lost, doubled or out of order; no holes.",
    command: vitest("test/promises/crash.test.ts"),
    env: { REQUIRE_MOSQUITTO: "1" },
    figures: ["crash", "crash.inFlight"],
    holds: (seen) => Number(seen.get("crash.inFlight")) >= 20,
  },
  {
    required:
      "500 hostile payloads, the expected code beside each, at least 15 different codes, half on the topic of a source that goes on: after each, a good event of that source and of another is decided.",
    command: vitest("test/promises/hostile.test.ts"),
    figures: ["hostile.payloads", "hostile.codes"],
    holds: (seen) => Number(seen.get("hostile.payloads")) >= 500 && Number(seen.get("hostile.codes")) >= 15,
  },
  {
    required:
      "Postgres stopped for 30 s under load, then started; broker restarted with and without its session: recovers by itself, memory bounded, nothing lost that the broker still had.",
    command: vitest("test/promises/outage.test.ts"),
    env: { SIGNALBOX_OUTAGE_MS: "30000", REQUIRE_MOSQUITTO: "1" },
    figures: ["outage.postgres", "outage.broker.kept", "outage.broker.lost"],
  },
  {
    required: "One event alone on an idle system: publish to outcome under 20 ms at the median.",
    command: vitest("test/promises/idle.test.ts"),
    env: { REQUIRE_MOSQUITTO: "1" },
    figures: ["idle.medianMs"],
    holds: (seen) => Number(seen.get("idle.medianMs")) < 20,
  },
  {
    required: "The machining log in any order of arrival, each event three times: 60 starts, 60 completions, 28 pauses, 28 resumes, 6 quarantined, no other.",
    command: vitest("test/promises/machining.test.ts"),
    figures: ["machining"],
  },
];
