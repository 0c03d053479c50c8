// What tail and why make of a verdict: everything that a person needs to act, nothing that a device could smuggle in.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { banner } from "../../../src/cli/banner.ts";
import { story } from "../../../src/cli/story.ts";
import { coloured, plain } from "../../../src/cli/terminal.ts";
import { verdictLine } from "../../../src/cli/verdict-line.ts";
import { verdictOf } from "./verdict.ts";

const DEFERRED = verdictOf({ status: "deferred", final: false, code: "EVD_MISSING", reason: "Step weigh needs one net-weight and has none.", next: "wait" });
const REJECTED = verdictOf({
  position: 9,
  round: 2,
  firstRound: "rtm1.1.7",
  status: "rejected",
  code: "EVD_MISSING",
  reason: "Step weigh needs one net-weight and has none.",
  next: "correct",
  remedy: "Send the weight, then ask again with a new event.",
  explanation: {
    state: "in_progress",
    stateMachine: "step/governed@1",
    permitted: ["signalbox.step.evidence.v1", "signalbox.step.pause.v1"],
    guards: [
      { guard: "batch.running@1", ok: true },
      { guard: "evidence.complete@1", ok: false, code: "EVD_MISSING", notYet: true, expected: "net-weight: 1", actual: "0" },
    ],
  },
});

describe("a line of tail", () => {
  test("says when, what, who, which step, why, and what to do next", () => {
    expect(verdictLine(DEFERRED, "2026-11-22T08:00:03.120Z", plain)).toBe(
      "08:00:03.120  deferred         scale-1     step.complete #41     B-1042/weigh  EVD_MISSING Step weigh needs one net-weight and has none.  → wait",
    );
  });

  test("names a later round, and marks an acceptance by its flags only", () => {
    expect(verdictLine(REJECTED, "2026-11-22T08:00:08.120Z", plain)).toContain("rejected     r2  scale-1");
    const flagged = verdictLine(verdictOf({ flags: ["TIM_FUTURE"] }), "2026-11-22T08:00:08.120Z", plain);
    expect(flagged.endsWith("B-1042/weigh  TIM_FUTURE")).toBe(true);
  });

  test("names the branch where no source could be read", () => {
    expect(verdictLine(verdictOf({ event: {}, context: null }), "2026-11-22T08:00:08.120Z", plain, "mixer-1")).toContain("mixer-1");
  });

  test("has colours only when it is painted", () => {
    expect(verdictLine(REJECTED, "2026-11-22T08:00:08.120Z", plain)).not.toContain("\u001b");
    expect(verdictLine(REJECTED, "2026-11-22T08:00:08.120Z", coloured)).toContain("\u001b[31mrejected");
  });

  test("is one line without control characters, whatever the device wrote", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (source, type, reason) => {
        const verdict = verdictOf({ status: "rejected", reason, event: { source, type, id: source }, context: { batch: type, step: source } });
        expect(verdictLine(verdict, "2026-11-22T08:00:08.120Z", plain)).not.toMatch(/\p{Cc}/u);
        expect(story([{ verdict, time: null }], [], plain).join("")).not.toMatch(/\p{Cc}/u);
      }),
    );
  });
});

describe("the story of an event", () => {
  test("tells the rounds in order, guard by guard, and in the end what to do", () => {
    expect(
      story(
        [
          { verdict: REJECTED, time: null },
          { verdict: DEFERRED, time: "2026-11-22T08:00:03.120Z" },
        ],
        [],
        plain,
      ),
    ).toEqual([
      "step.complete s1-7-41 from scale-1, number 41 of epoch 7",
      "About batch B-1042, step weigh, attempt 1 (as the event claims).",
      "",
      "Round 1: deferred EVD_MISSING  (2026-11-22T08:00:03.120Z, position 7, rtm1.1.7)",
      "  Step weigh needs one net-weight and has none.",
      "",
      "Round 2: rejected EVD_MISSING  (position 9, rtm1.1.9)",
      "  Step weigh needs one net-weight and has none.",
      "  State met: in_progress (step/governed@1).",
      "  Permitted there: step.evidence, step.pause.",
      "  ✓ batch.running@1",
      "  ✗ evidence.complete@1: expected net-weight: 1, was 0 (EVD_MISSING, not yet)",
      "",
      "This is final. Next: Send a new event, with a new id and the next number.",
      "Send the weight, then ask again with a new event.",
    ]);
  });

  test("says that it is still open, what it brought about, and what a duplicate repeats", () => {
    expect(story([{ verdict: DEFERRED, time: null }], [], plain).at(-1)).toContain("This is still open. Next: Wait");
    expect(story([{ verdict: verdictOf(), time: null }], ["signalbox.step.completed.v1"], plain)).toContain("Published: step.completed.");
    const repeated = verdictOf({ status: "duplicate", first: { verdict: "rtm1.1.3", status: "rejected", code: "EVD_MISSING" } });
    expect(story([{ verdict: repeated, time: null }], [], plain)).toContain("  First seen as rtm1.1.3: rejected EVD_MISSING.");
  });
});

describe("the banner", () => {
  const running = {
    url: "http://127.0.0.1:8080",
    mqttUrl: "mqtt://127.0.0.1:1883",
    embedded: { postgres: true, broker: true },
    dataDir: ".signalbox",
    topicPrefix: "",
    claimed: false,
  };

  test("says how to make the first administrator until there is one", () => {
    expect(banner(running).join("\n")).toContain("npx signalbox admin create");
    expect(banner({ ...running, claimed: true }).join("\n")).not.toContain("admin create");
  });

  test("says where it is and what to do next", () => {
    const text = banner(running).join("\n");
    for (const part of ["http://127.0.0.1:8080/docs", "registry apply examples/plant", "signalbox device", "mosquitto_pub -h 127.0.0.1 -p 1883"])
      expect(text).toContain(part);
  });

  test("warns of the embedded broker only where it is the embedded one, and shows no password", () => {
    const own = banner({ ...running, mqttUrl: "mqtt://plant:s3cret@broker", embedded: { postgres: false, broker: false } }).join("\n");
    expect(own).not.toContain("for trying out");
    expect(own).not.toContain("s3cret");
    expect(own).toContain("-h broker -p 1883");
  });
});
