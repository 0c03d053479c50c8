import { z } from "zod";
import type { TrailSearch } from "../audit/trail.store.ts";

// What a bundle holds, as its manifest.json tells. Nothing of it is signed: every word of it is held against entries that are.

export const FORMAT = "signalbox-bundle/2";
/** What is still read: a bundle is kept for longer than the program that wrote it. */
const FORMATS = ["signalbox-bundle/1", FORMAT] as const;

/** What was exported: all of a batch, or all of a range of positions. */
const chosen = z.union([z.strictObject({ batch: z.string() }), z.strictObject({ from: z.int().min(1), to: z.int().min(1) })]);
export type Chosen = z.infer<typeof chosen>;

/** What is exported to be read. What a search finds is proven to be all by nothing, so it makes no bundle. */
export type Selection = Chosen | { readonly search: Omit<TrailSearch, "site" | "positions"> };

const definition = z.strictObject({
  kind: z.enum(["recipe", "state machine"]),
  name: z.string().describe("With its revision."),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  since: z.int().min(0).optional().describe("Of a record from its beginning: the position behind which it was there."),
  inForceSince: z.int().min(0).nullable().optional().describe("Of one that needs a second person: behind which position it was approved; null: it is not."),
});
export type Definition = z.infer<typeof definition>;

const log = z.strictObject({
  log: z.int().min(1),
  origin: z.string(),
  first: z.int().min(1).describe("Position of the log's first entry: leaf 0 of its tree."),
  size: z.int().min(1).describe("Of the checkpoint."),
});
export type BundledLog = z.infer<typeof log>;

const manifest = z.strictObject({
  format: z.enum(FORMATS),
  site: z.string(),
  of: chosen,
  /** The entry by which the export itself is on record, and what it says of how much there was. */
  export: z.strictObject({ position: z.int().min(1), entries: z.int().min(0) }),
  logs: z.array(log).min(1),
  definitions: z.array(definition),
  /** Of a record from its beginning: under which key the record names each source. With it, and with all definitions, it can be decided again. */
  sources: z.record(z.string(), z.string()).optional(),
});
export type Manifest = z.infer<typeof manifest>;

/** Null: the text is no manifest. */
export function readManifest(text: string): Manifest | null {
  try {
    return manifest.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

export const writeManifest = (content: Manifest): string => `${JSON.stringify(content, null, 2)}\n`;

/** As the entry of an export names its object, and people read it. */
export function nameOf(of: Selection): string {
  if ("batch" in of) return `batch ${of.batch}`;
  if ("from" in of) return `positions ${of.from} to ${of.to}`;
  const asked = Object.entries(of.search).flatMap(([name, value]) => (value === undefined ? [] : [`${name} ${value}`]));
  return asked.length === 0 ? "all entries" : `entries with ${asked.join(", ")}`;
}

/** The names of a bundle's files. Those named by a hash are the bytes that have it. */
export const FILES = {
  readme: "README.txt",
  manifest: "manifest.json",
  sums: "SHA256SUMS",
  html: "record.html",
  csv: "record.csv",
  entries: (log: number): string => `log-${log}/entries.txt`,
  tree: (log: number): string => `log-${log}/tree.txt`,
  checkpoint: (log: number): string => `log-${log}/checkpoint.txt`,
  keys: (log: number): string => `log-${log}/keys.notes`,
  deliveries: (log: number): string => `log-${log}/deliveries.bin`,
  deliveryLines: (log: number): string => `log-${log}/deliveries.txt`,
  /** In format 1. */
  delivery: (sha256: string): string => `deliveries/${sha256}`,
  definition: (sha256: string): string => `definitions/${sha256}`,
} as const;

/** The type of the act by which an export is on record. */
export const EXPORTED = "audit.exported";
