import { type Direction, type Party, type Right, SERVICE_RIGHTS, SUBJECTS } from "../../src/parties/party.ts";
import { filtersOf } from "../../src/parties/topics.ts";

// A plant with a party of every kind, and every topic of it: what each may do is tried over all of them.

export const SITE = "rtm1";
const right = (direction: Direction, what: Right["what"], where: Right["where"], types?: readonly string[]): Right => ({
  direction,
  what,
  where,
  ...(types === undefined ? {} : { types: [...types] }),
});
const own = (equipment: string, line = "4") => ({ line, equipment });

export const party = (name: string, kind: Party["kind"], may: readonly Right[], more: Partial<Party> = {}): Party => ({
  site: SITE,
  party: name,
  revision: 1,
  kind,
  owner: "person:ann",
  may: [...may],
  validFrom: null,
  validUntil: null,
  ...more,
});

/** What a device does by itself: it says what happens, and hears what became of it. */
export const deviceRights = (equipment: string, line = "4"): readonly Right[] => [
  ...(["event", "diag", "telemetry", "state"] as const).map((what) => right("publish", what, own(equipment, line))),
  ...(["verdict", "cursor", "reply", "cmd"] as const).map((what) => right("subscribe", what, own(equipment, line))),
];

/** One of each kind, without a conflict. */
export const PARTIES: readonly Party[] = [
  party("scale-1", "device", deviceRights("scale-1")),
  party("mixer-1", "device", deviceRights("mixer-1", "5")),
  party("edge-1", "gateway", [
    right("publish", "event", own("panel-1")),
    right("subscribe", "verdict", own("panel-1")),
    right("subscribe", "cursor", { ...own("panel-1"), devices: ["button", "lamp"] }),
  ]),
  party("core", "service", SERVICE_RIGHTS),
  party("wall", "dashboard", [
    right("subscribe", "mirror", { line: "+", batch: "+" }),
    right("subscribe", "diag", { line: "4", equipment: "+" }),
    right("subscribe", "broker", "site"),
  ]),
  party("mes", "mes", [
    right("subscribe", "outcome", { line: "+", batch: "+" }),
    right("subscribe", "outcome", { line: "+", equipment: "+" }),
    right("subscribe", "outcome", "site"),
    right("subscribe", "checkpoint", "site"),
    right("publish", "cmd", own("scale-1")),
  ]),
];

/** Every topic there is on some lines, equipment, devices and batches, of our site and of another; and some that there are not. */
export function everyTopic(prefix: string): readonly string[] {
  const wheres: Right["where"][] = [
    "site",
    ...["4", "5"].flatMap((line) => [
      ...["scale-1", "mixer-1", "panel-1"].map((equipment) => ({ line, equipment, devices: ["button", "other"] })),
      { line, batch: "B-1" },
    ]),
  ];
  const topics = [SITE, "ams2"].flatMap((site) => SUBJECTS.flatMap((what) => wheres.flatMap((where) => filtersOf(prefix, site, { what, where }))));
  const strange = [
    `${prefix}site/${SITE}/line/4/eq/scale-1`,
    `${prefix}site/${SITE}/line/4/eq/scale-1/event/more`,
    `${prefix}site/${SITE}/secret`,
    "elsewhere",
  ];
  return [...new Set([...topics.filter((topic) => !topic.startsWith("$")).map((topic) => topic.replace("#", "r-1")), ...strange])].sort();
}
