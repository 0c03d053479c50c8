import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  batchOutcomeTopic,
  batchStateTopic,
  cursorTopic,
  equipmentOutcomeTopic,
  isPlantId,
  mayAnswerOn,
  parseSource,
  parseTopic,
  siteOutcomeTopic,
  sourceText,
  verdictTopic,
} from "../../../src/decode/topic.ts";

const first = fc.constantFrom(..."abzAZ019");
const later = fc.constantFrom(..."abzAZ019_.:-");
const plantIds = fc.tuple(first, fc.string({ unit: later, maxLength: 63 })).map(([head, tail]) => head + tail);
const at = { site: "rtm1", line: "4", equipment: "scale-1" };

describe("a topic", () => {
  test("of an equipment's branch is read below the prefix", () => {
    fc.assert(
      fc.property(
        fc.constantFrom("", "plant/", "a/b/"),
        plantIds,
        plantIds,
        plantIds,
        fc.constantFrom("event", "diag", "telemetry", "state", "cmd"),
        (prefix, site, line, equipment, domain) => {
          expect(parseTopic(`${prefix}site/${site}/line/${line}/eq/${equipment}/${domain}`, prefix)).toEqual({ site, line, equipment, domain });
        },
      ),
    );
  });

  test.each([
    "",
    "site/rtm1/line/4/eq/scale-1",
    "site/rtm1/line/4/eq/scale-1/device/d/event",
    "site/rtm1/line/4/eq/scale-1/event/",
    "/site/rtm1/line/4/eq/scale-1/event",
    "site//line/4/eq/scale-1/event",
    "site/rtm1/line/4/eq/scale 1/event",
    "site/rtm1/line/4/eq/+/event",
    "site/rtm1/line/4/eq/-x/event",
    "Site/rtm1/line/4/eq/scale-1/event",
    "other/site/rtm1/line/4/eq/scale-1/event",
  ])("%j is none of an equipment's branch", (topic) => {
    expect(parseTopic(topic, "")).toBeNull();
  });

  test("outside the prefix is not read", () => {
    expect(parseTopic("site/rtm1/line/4/eq/scale-1/event", "plant/")).toBeNull();
    expect(parseTopic("plant/site/rtm1/line/4/eq/scale-1/event", "")).toBeNull();
  });

  test("to publish on has the form of the contract", () => {
    expect(verdictTopic("", at)).toBe("site/rtm1/line/4/eq/scale-1/verdict");
    expect(cursorTopic("p/", { ...at, device: null })).toBe("p/site/rtm1/line/4/eq/scale-1/cursor");
    expect(cursorTopic("", { ...at, device: "d1" })).toBe("site/rtm1/line/4/eq/scale-1/device/d1/cursor");
    expect(equipmentOutcomeTopic("", at)).toBe("site/rtm1/line/4/eq/scale-1/outcome");
    expect(batchOutcomeTopic("", { site: "rtm1", line: "4", batch: "B-1042" })).toBe("site/rtm1/line/4/batch/B-1042/outcome");
    expect(batchStateTopic("", { site: "rtm1", line: "4", batch: "B-1042" })).toBe("site/rtm1/line/4/batch/B-1042/state");
    expect(siteOutcomeTopic("", { site: "rtm1" })).toBe("site/rtm1/outcome");
  });
});

describe("a source", () => {
  test("is read as it is written", () => {
    fc.assert(
      fc.property(plantIds, plantIds, plantIds, fc.option(plantIds), (site, line, equipment, device) => {
        const source = { site, line, equipment, device };
        expect(parseSource(sourceText(source))).toEqual(source);
      }),
    );
  });

  test.each([
    "",
    "/",
    "/site/a/line/b/eq/c/",
    "/site/a/line/b/eq/c/device/",
    "/site/a/line/b/eq/c/device/d/",
    "/site/a/line/b/eq/c#",
    "site/a/line/b/eq/c",
    "/site/ä/line/b/eq/c",
    "/site/a/line/b/eq/c\n",
  ])("%j is none", (source) => {
    expect(parseSource(source)).toBeNull();
  });

  test("has plant ids of 64 characters at most", () => {
    expect(isPlantId("x".repeat(64))).toBe(true);
    expect(isPlantId("x".repeat(65))).toBe(false);
  });
});

describe("a response topic", () => {
  test("is answered below the reply branch of the sender's own equipment", () => {
    expect(mayAnswerOn("site/rtm1/line/4/eq/scale-1/reply/a", "", at)).toBe(true);
    expect(mayAnswerOn("p/site/rtm1/line/4/eq/scale-1/reply/a/b-2", "p/", at)).toBe(true);
  });

  test.each([
    "site/rtm1/line/4/eq/scale-1/reply",
    "site/rtm1/line/4/eq/scale-1/reply/",
    "site/rtm1/line/4/eq/scale-1/reply/+",
    "site/rtm1/line/4/eq/scale-1/reply/a/#",
    "site/rtm1/line/4/eq/scale-1/reply//a",
    "site/rtm1/line/4/eq/scale-1/reply/a\u0000",
    `site/rtm1/line/4/eq/scale-1/reply/${"x".repeat(600)}`,
    "site/rtm1/line/4/eq/scale-10/reply/a",
    "site/rtm1/line/4/eq/mixer-1/reply/a",
    "site/rtm1/line/4/eq/scale-1/event",
    "site/rtm1/line/4/eq/scale-1/cmd/reply/a",
    "plant/site/rtm1/line/4/eq/scale-1/reply/a",
    "$SYS/reply/a",
  ])("%s is not answered", (topic) => {
    expect(mayAnswerOn(topic, "", at)).toBe(false);
  });
});
