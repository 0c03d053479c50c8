import type { Colour, Paint } from "./terminal.ts";
import type { VerdictData } from "./verdict-data.ts";

const COLOUR: Readonly<Record<string, Colour>> = {
  accepted: "green",
  accepted_with_exception: "yellow",
  duplicate: "dim",
  observed: "dim",
  deferred: "blue",
  quarantined: "yellow",
  rejected: "red",
};

export const paintStatus = (paint: Paint, status: string, width = 0): string => {
  const padded = status.padEnd(width);
  const colour = COLOUR[status];
  return colour === undefined ? padded : paint(colour, padded);
};

/**
 * One verdict in one line: when, what became of it, who said what about which step, why, and what to do next. `branch` is the equipment on whose topic it came, for what no source
 * could be read of. Control characters in what devices say are taken out.
 */
export function verdictLine(verdict: VerdictData, time: string, paint: Paint, branch: string | null = null): string {
  const { event, context } = verdict;
  const about = [context?.batch, context?.step].filter((part) => part != null && part !== "").join("/");
  const number = event.sequence == null ? "" : `#${event.sequence}`;
  const why =
    verdict.status === "accepted" ? (verdict.flags ?? []).join(", ") : [verdict.code, verdict.reason].filter((part) => part != null && part !== "").join(" ");
  const next = verdict.next == null || verdict.next === "none" ? "" : `→ ${verdict.next}`;
  return [
    paint("dim", time.slice(11, 23)),
    paintStatus(paint, verdict.status, 11),
    verdict.round === 1 ? "  " : `r${verdict.round}`,
    printable(sourceName(event.source ?? branch)).padEnd(10),
    printable(`${shortType(event.type)} ${number}`.trim()).padEnd(20),
    printable(about),
    printable(why),
    next,
  ]
    .join("  ")
    .replace(/ +$/, "");
}

/** `scale-1` or `scale-1/probe` of `/site/rtm1/line/4/eq/scale-1[/device/probe]`. */
export function sourceName(source: string | null | undefined): string {
  if (source == null) return "?";
  const [, equipment, device] = /\/eq\/([^/]+)(?:\/device\/([^/]+))?$/.exec(source) ?? [];
  return equipment === undefined ? source : device === undefined ? equipment : `${equipment}/${device}`;
}

/** `step.complete` of `signalbox.step.complete.v1`. */
export const shortType = (type: string | null | undefined): string => (type == null ? "?" : type.replace(/^signalbox\./, "").replace(/\.v\d+$/, ""));

// What a device wrote reaches a person's terminal: escape sequences must not.
export const printable = (text: string): string => text.replace(/\p{Cc}/gu, "·");
