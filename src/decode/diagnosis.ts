import type { Delivery } from "../receive/delivery.ts";
import type { Decoded, Diagnosis } from "./event.ts";
import { isInstant } from "./instant.ts";
import { readJson } from "./json.ts";
import { numberIn } from "./numbering.ts";
import { type BranchTopic, parseSource, sourceText } from "./topic.ts";

/** A heartbeat or connection state; what cannot be read is only counted. */
export function decodeDiag(delivery: Delivery, topic: BranchTopic): Decoded {
  const read = delivery.payload.byteLength > 65_536 ? null : readJson(delivery.payload);
  if (read === null || !read.ok || !(read.value instanceof Map)) return { kind: "ignored", why: "unreadable" };
  const { value } = read;
  const device = value.get("device");
  const source = value.get("source") ?? sourceText({ ...topic, device: typeof device === "string" ? device : null });
  const address = typeof source === "string" ? parseSource(source) : null;
  if (typeof source !== "string" || address === null) return { kind: "ignored", why: "unreadable" };
  if (address.site !== topic.site || address.line !== topic.line || address.equipment !== topic.equipment) return { kind: "ignored", why: "other" };
  const ignore = () => null;
  const state = value.get("state");
  const time = value.get("time");
  const numbered = numberIn(value, ignore);
  const diagnosis: Diagnosis = {
    source,
    address,
    state: state === "online" || state === "offline" ? state : null,
    epoch: numbered?.epoch ?? null,
    sequence: numbered?.sequence ?? null,
    time: typeof time === "string" && isInstant(time) ? time : null,
  };
  return { kind: "diag", diagnosis };
}
