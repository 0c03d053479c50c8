// Promise: the compiled ACL permits exactly what the registry says, the same registry gives the same bytes, and any difference in a broker's file is named.
// Attack: registries by chance, each compiled file read as mosquitto reads it and held against the registry topic by topic; every line of a file changed, taken away, added.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { tableUsers } from "../../../src/parties/broker-table.ts";
import { fits, issueCredential, mosquittoPasswords, verifierOf } from "../../../src/parties/credentials.ts";
import { driftAt, driftBetween, drifts, mosquittoAcl } from "../../../src/parties/mosquitto-acl.ts";
import { DIRECTIONS, type Party, type Right, SUBJECTS } from "../../../src/parties/party.ts";
import { filtersOf, matches, mayDo, overlap, rightsByUser } from "../../../src/parties/topics.ts";
import { everyTopic, PARTIES, party, SITE } from "../../support/parties.ts";

/** What mosquitto makes of the file: the lines behind `user`, and `topic read|write FILTER`. Its own matching is tried with the real one in test/promises/parties. */
function permittedBy(acl: string, user: string, access: "read" | "write", topic: string): boolean {
  let who = "";
  for (const line of acl.split("\n")) {
    if (line.startsWith("user ")) who = line.slice(5);
    const [word, may, filter] = line.split(" ");
    if (who === user && word === "topic" && may === access && filter !== undefined && regexOf(filter).test(topic)) return true;
  }
  return false;
}
const regexOf = (filter: string): RegExp => new RegExp(`^${filter.replace(/[.$]/g, "\\$&").replaceAll("+", "[^/]*").replace(/\/#$/, "(/.*)?")}$`);

const id = fc.constantFrom("4", "5", "scale-1", "mixer-1", "+", "a.b", "x:y");
const where: fc.Arbitrary<Right["where"]> = fc.oneof(
  fc.constant("site" as const),
  fc.record({ line: id, equipment: id, devices: fc.array(id, { maxLength: 2 }) }),
  fc.record({ line: id, batch: id }),
);
const right: fc.Arbitrary<Right> = fc.record({ direction: fc.constantFrom(...DIRECTIONS), what: fc.constantFrom(...SUBJECTS), where });
const registry: fc.Arbitrary<readonly Party[]> = fc.array(
  fc
    .tuple(fc.constantFrom("a", "b", "c"), fc.constantFrom(SITE, "ams2"), fc.array(right, { minLength: 1, maxLength: 6 }))
    .map(([name, site, may]) => party(name, "gateway", may, { site })),
  { maxLength: 5 },
);

describe.each(["", "plant/"])("with the prefix '%s'", (prefix) => {
  test("whatever the registry is, the compiled file, and the filters by user, permit what it says and nothing else", () => {
    const topics = everyTopic(prefix);
    fc.assert(
      fc.property(registry, (parties) => {
        const { text } = mosquittoAcl(parties, prefix, "r@1");
        const rights = rightsByUser(parties, prefix);
        for (const user of ["a", "b", "c", "d"])
          for (const topic of [...topics, "$SYS/broker/uptime"])
            for (const direction of DIRECTIONS) {
              const may = mayDo(parties, prefix, user, direction, topic);
              expect(permittedBy(text, user, direction === "publish" ? "write" : "read", topic)).toBe(may);
              expect((rights.get(user)?.[direction] ?? []).some((filter) => matches(filter, topic))).toBe(may);
            }
      }),
      { numRuns: 60 },
    );
  });
});

test("the same registry in another order gives the same bytes, and the header their digest", () => {
  const one = mosquittoAcl(PARTIES, "plant/", "rtm1@7");
  expect(
    mosquittoAcl(
      [...PARTIES].reverse().map((own) => ({ ...own, may: [...own.may].reverse() })),
      "plant/",
      "rtm1@7",
    ),
  ).toEqual(one);
  expect(one.text).toContain(`# revision rtm1@7\n# sha256 of what follows: ${one.sha256}\n`);
  expect(mosquittoAcl(PARTIES.slice(1), "plant/", "rtm1@7").sha256).not.toBe(one.sha256);
  // nothing that is meant for everybody, and nobody without a name
  expect(one.text).not.toMatch(/^(pattern|topic deny)/m);
  expect(one.text.split("\n").find((line) => line !== "" && !line.startsWith("#"))).toMatch(/^user /);
});

describe("a broker's file", () => {
  const { text } = mosquittoAcl(PARTIES, "", "rtm1@7");
  const lines = text.split("\n");

  test("that was only spaced, ordered or commented differently is no drift", () => {
    const spaced = text.replaceAll("topic read ", "  topic   read  ").replaceAll("\n", "  \r\n");
    expect(driftBetween(text, `# by hand\n${spaced}`)).toEqual({ more: [], less: [] });
    expect(driftBetween(text, mosquittoAcl([...PARTIES].reverse(), "", "other@8").text)).toEqual({ more: [], less: [] });
    expect(driftBetween("user a\ntopic read t\ntopic write t\n", "user a\ntopic t\n")).toEqual({ more: [], less: [] });
  });

  test("without any one of its lines, or with any one changed, is named", () => {
    for (const [i, line] of lines.entries()) {
      if (line === "" || line.startsWith("#")) continue;
      const without = driftBetween(text, lines.filter((_, n) => n !== i).join("\n"));
      expect(drifts(without), `without ${line}`).toBe(true);
      const changed = driftBetween(text, lines.map((one, n) => (n === i ? `${one}x` : one)).join("\n"));
      expect(changed.more.length, `with ${line}x`).toBeGreaterThan(0);
      expect(changed.less.length).toBeGreaterThan(0);
    }
  });

  test.each([
    ["user scale-1\ntopic read site/rtm1/#", "user scale-1: topic read site/rtm1/#"],
    ["user intruder\ntopic readwrite #", "user intruder: topic read #"],
    ["pattern write site/+/line/+/eq/%u/event", "everybody: pattern write site/+/line/+/eq/%u/event"],
    ["topic deny site/rtm1/outcome", "user wall: topic deny site/rtm1/outcome"],
    ["tpoic read x", "unreadable: tpoic read x"],
    [" # no comment", "unreadable:  # no comment"],
    ["user", "unreadable: user"],
    ["topic", "unreadable: topic"],
    ["topic\tread x", "unreadable: topic\tread x"],
    ["topic read\tx", "user wall: topic write read\tx"],
  ])("with %j at its end is named", (added, named) => {
    expect(driftBetween(text, `${text}${added}\n`).more).toContain(named);
  });

  test("with a line before the first user is one for whoever has no name", () => {
    expect(driftBetween(text, `topic read site/#\n${text}`)).toEqual({ more: ["anonymous: topic read site/#"], less: [] });
  });

  test("that is empty lacks everything", () => {
    expect(driftBetween(text, "").less.length).toBe(lines.filter((line) => line.startsWith("topic")).length);
  });
});

describe("of a drift of a broker of several sites, one site is told", () => {
  const names = new Map([
    ["rtm1", new Set(["scale-1", "core"])],
    ["ams2", new Set(["scale-9", "core"])],
  ]);
  const more = (...lines: readonly string[]) => driftAt("rtm1", driftBetween("", lines.join("\n")), "plant/", names).more;

  test.each([
    ["its own party on its own topics", "user scale-1\ntopic write plant/site/rtm1/outcome", ["user scale-1: topic write plant/site/rtm1/outcome"]],
    ["its own party everywhere", "user scale-1\ntopic write #", ["user scale-1: topic write #"]],
    ["a service that it shares, as its own", "user core\ntopic read $SYS/broker/#", ["user core: topic read $SYS/broker/#"]],
    ["whoever is nobody's, everywhere and elsewhere", "user x\ntopic read #\ntopic write y", ["user x: topic read #", "user x: topic write y"]],
    ["whoever has no name", "topic read plant/site/+/outcome", ["anonymous: topic read plant/site/+/outcome"]],
    ["everybody", "pattern write plant/site/+/line/+/eq/%u/event", ["everybody: pattern write plant/site/+/line/+/eq/%u/event"]],
    [
      "that another's may something on its topics, and not who",
      "user scale-9\ntopic write plant/site/rtm1/outcome",
      ["a user of another site: topic write plant/site/rtm1/outcome"],
    ],
    ["the same of all topics", "user scale-9\ntopic write plant/site/+/outcome", ["a user of another site: topic write plant/site/+/outcome"]],
    ["nothing of another's party elsewhere", "user scale-9\ntopic read $SYS/broker/#", []],
    ["nothing of another's topics, its own party there included", "user scale-1\ntopic write plant/site/ams2/outcome", []],
    ["nor whoever they are", "pattern write plant/site/ams2/line/4/eq/%u/event\nuser x\ntopic read +/+/ams2/outcome\ntopic read old/ams2", []],
    ["that a line is none, and not which", "tpoic write plant/site/ams2/outcome", ["unreadable: a line"]],
  ] as const)("%s", (_, lines, told) => {
    expect(more(lines)).toEqual(told);
  });
  test("what lacks as well", () => {
    expect(driftAt("rtm1", { more: [], less: ["user scale-9: topic read $SYS/broker/#", "user core: topic read $SYS/broker/#"] }, "", names).less).toEqual([
      "user core: topic read $SYS/broker/#",
    ]);
  });
  test("where there is no other, everything as it stands", () => {
    const drift = driftBetween("user a\ntopic read site/ams2/x\n", "tpoic\nuser b\ntopic read site/zrh4/outcome\n");
    expect(driftAt("rtm1", drift, "", new Map([["rtm1", new Set(["a"])]]))).toEqual(drift);
  });
});

test("filters mean topics as MQTT says", () => {
  for (const [filter, topic, meant] of [
    ["a/+/c", "a/b/c", true],
    ["a/+", "a/b/c", false],
    ["a/#", "a", true],
    ["a/#", "a/b/c", true],
    ["#", "$SYS/x", false],
    ["+/x", "$SYS/x", false],
    ["$SYS/broker/#", "$SYS/broker/uptime", true],
    ["a/b", "a/b/", false],
    ["a/+", "a/", true],
  ] as const)
    expect(matches(filter, topic), `${filter} ${topic}`).toBe(meant);
  for (const [one, other, common] of [
    ["a/+/c", "a/b/+", true],
    ["a/#", "a", true],
    ["a/b", "a/c", false],
    ["a/+", "a/b/c", false],
    ["#", "$SYS/x", false],
  ] as const) {
    expect(overlap(one, other), `${one} ${other}`).toBe(common);
    expect(overlap(other, one)).toBe(common);
  }
  expect(filtersOf("p/", SITE, { what: "cursor", where: { line: "4", equipment: "e", devices: ["d"] } })).toEqual([
    "p/site/rtm1/line/4/eq/e/cursor",
    "p/site/rtm1/line/4/eq/e/device/d/cursor",
  ]);
});

describe("a credential", () => {
  test("fits its password alone, has 256 bits, and is not what is kept", () => {
    const { password, verifier } = issueCredential();
    expect(Buffer.from(password, "base64url")).toHaveLength(32);
    expect(issueCredential().password).not.toBe(password);
    expect(verifier).not.toContain(password);
    expect(fits(verifier, Buffer.from(password))).toBe(true);
    for (const other of ["", `${password} `, password.slice(1)]) expect(fits(verifier, Buffer.from(other))).toBe(false);
    for (const none of ["", "$7$", password, verifier.replace("$7$", "$6$")]) expect(fits(none, Buffer.from(password))).toBe(false);
  });
  test("stands in mosquitto's file by name, in order, one a line", () => {
    const verifier = verifierOf("it", Buffer.alloc(12, 7));
    expect(verifier).toMatch(/^\$7\$101\$[A-Za-z0-9+/]{16}\$[A-Za-z0-9+/]{86}==$/);
    expect(
      mosquittoPasswords([
        { party: "b", verifier },
        { party: "a", verifier },
        { party: "c", verifier: null },
      ]),
    ).toBe(`a:${verifier}\nb:${verifier}\n`);
  });
  test("of one site lets nobody in as a user of two: what both have was issued for both", () => {
    const [one, other] = [issueCredential().verifier, issueCredential().verifier];
    const letIn = (...verifiers: readonly (string | null)[]) => {
      const parties = verifiers.map((verifier, i) => ({ ...party("core", "service", [], { site: `s${i}` }), verifier }));
      const table = tableUsers(true, parties, "")?.map(({ verifier }) => verifier);
      expect(mosquittoPasswords(parties)).toBe(table?.[0] == null ? "" : `core:${table[0]}\n`);
      return table;
    };
    expect(letIn(one, one, one)).toEqual([one]);
    for (const differing of [
      [one, other],
      [other, one],
      [one, null],
      [null, one],
      [one, other, one],
      [one, null, one],
      [null, one, one],
    ])
      expect(letIn(...differing), JSON.stringify(differing)).toEqual([null]);
    expect(letIn(null, null)).toEqual([null]);
  });
});
