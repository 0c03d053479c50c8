import { hash } from "node:crypto";

/**
 * The hash under which an event's id is remembered, for good. An event whose id could not be read is known by its number instead.
 * This format never changes: it is what "the same event" means in every record ever written.
 */
export function idHash(event: { readonly id: string | null; readonly epoch: bigint | null; readonly sequence: bigint | null }): string | null {
  if (event.id !== null) return short(`id\n${event.id}`);
  if (event.epoch !== null && event.sequence !== null) return short(`number\n${event.epoch}\n${event.sequence}`);
  return null;
}

const short = (text: string): string => hash("sha256", text, "hex").slice(0, 40);
