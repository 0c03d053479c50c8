import type { PlantId, SourceAddress } from "./event.ts";

const PLANT_ID = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$/;

export const isPlantId = (text: string): text is PlantId => PLANT_ID.test(text);

/** What a topic of an equipment's branch says: who speaks, and about what. */
export interface BranchTopic {
  readonly site: PlantId;
  readonly line: PlantId;
  readonly equipment: PlantId;
  /** The last level: `event`, `diag`, `telemetry`, `state`, `cmd`, … */
  readonly domain: string;
}

/** Reads `{prefix}site/{site}/line/{line}/eq/{equipment}/{domain}`; null for any other topic. */
export function parseTopic(topic: string, prefix: string): BranchTopic | null {
  const at = levelsOf(topic, prefix);
  if (at === null || !isPlantId(at.site) || !isPlantId(at.line) || !isPlantId(at.equipment)) return null;
  return { site: at.site, line: at.line, equipment: at.equipment, domain: at.domain };
}

/** The levels of a topic of that form, whatever they hold: the broker hands on what no plant id can be, and that too is answered where it came from. */
export function levelsOf(topic: string, prefix: string): (Branch & { readonly domain: string }) | null {
  if (!topic.startsWith(prefix)) return null;
  const levels = topic.slice(prefix.length).split("/");
  if (levels.length !== 7 || levels[0] !== "site" || levels[2] !== "line" || levels[4] !== "eq") return null;
  const { 1: s, 3: l, 5: e, 6: domain } = levels;
  return s === undefined || l === undefined || e === undefined || domain === undefined ? null : { site: s, line: l, equipment: e, domain };
}

/** A level longer than this is nobody's branch: no index would take it, and with `verdict` behind it the topic itself may be longer than MQTT permits. */
const MOST_OF_A_LEVEL = 256;

/** The branch on which a delivery is answered; null where none can be. */
export function branchOf(topic: string, prefix: string): { readonly line: string; readonly equipment: string } | null {
  const at = levelsOf(topic, prefix);
  return at === null || at.line.length > MOST_OF_A_LEVEL || at.equipment.length > MOST_OF_A_LEVEL ? null : { line: at.line, equipment: at.equipment };
}

/** Reads `/site/{s}/line/{l}/eq/{e}[/device/{d}]`; null for any other text. */
export function parseSource(source: string): SourceAddress | null {
  const levels = source.split("/");
  if (levels.length > 9 || levels[0] !== "" || levels[1] !== "site" || levels[3] !== "line" || levels[5] !== "eq") return null;
  const { 2: s, 4: l, 6: e, 7: device, 8: d } = levels;
  if (s === undefined || l === undefined || e === undefined || !isPlantId(s) || !isPlantId(l) || !isPlantId(e)) return null;
  if (device === undefined) return { site: s, line: l, equipment: e, device: null };
  return device === "device" && d !== undefined && isPlantId(d) ? { site: s, line: l, equipment: e, device: d } : null;
}

interface Branch {
  readonly site: string;
  readonly line: string;
  readonly equipment: string;
}

export const branchTopic = (prefix: string, at: Branch): string => `${prefix}site/${at.site}/line/${at.line}/eq/${at.equipment}`;

export const sourceText = (at: Branch & { readonly device?: string | null }): string =>
  `/site/${at.site}/line/${at.line}/eq/${at.equipment}${at.device == null ? "" : `/device/${at.device}`}`;
export const verdictTopic = (prefix: string, at: Branch): string => `${branchTopic(prefix, at)}/verdict`;
export const cursorTopic = (prefix: string, at: Branch & { readonly device: string | null }): string =>
  `${branchTopic(prefix, at)}${at.device === null ? "" : `/device/${at.device}`}/cursor`;
export const equipmentOutcomeTopic = (prefix: string, at: Branch): string => `${branchTopic(prefix, at)}/outcome`;
export const batchOutcomeTopic = (prefix: string, at: { readonly site: string; readonly line: string; readonly batch: string }): string =>
  `${prefix}site/${at.site}/line/${at.line}/batch/${at.batch}/outcome`;
export const batchStateTopic = (prefix: string, at: { readonly site: string; readonly line: string; readonly batch: string }): string =>
  `${prefix}site/${at.site}/line/${at.line}/batch/${at.batch}/state`;
export const siteOutcomeTopic = (prefix: string, at: { readonly site: string }): string => `${prefix}site/${at.site}/outcome`;

export const checkpointTopic = (prefix: string, at: { readonly site: string }): string => `${prefix}site/${at.site}/audit/checkpoint`;

/** A Response Topic is answered only below the reply branch of the sender's own equipment, and never where a wildcard or an empty level stands. */
export function mayAnswerOn(responseTopic: string, prefix: string, at: Branch): boolean {
  const own = `${branchTopic(prefix, at)}/reply/`;
  return (
    responseTopic.startsWith(own) &&
    responseTopic.length > own.length &&
    responseTopic.length <= 512 &&
    !/[+#\p{Cc}\p{Surrogate}]|\/\/|\/$/u.test(responseTopic)
  );
}
