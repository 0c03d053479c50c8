// Decides the record of a bundle again: a long one in a thread of its own, beside whoever verifies its bytes meanwhile.
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { type BundleFolder, bundleIn } from "../bundle/folder.file.ts";
import type { Manifest } from "../bundle/manifest.ts";
import { readAhead } from "./read-ahead.process.ts";
import { recordedBundle } from "./recorded-bundle.ts";
import { type Replayed, replaySite } from "./run.ts";
import type { Reading } from "./site-record.ts";

/** Deciding that was begun, or is begun when it is asked for. */
export interface Deciding {
  /** Null: the bundle does not hold a record from its beginning. */
  result(): Promise<Replayed | null>;
  /** Nobody asks any more. */
  discard(): void;
}

/** A thread takes some tenths of a second to begin, in which so many entries are decided. */
const WORTH_A_THREAD = 2_000;
/** A group in hand is some megabytes, which are copied each time that room is made: with a quarter of this, Node 20 takes a tenth more processor time; with more, no less. */
const YOUNG_MB = 384;
/** Node 20 reads no TypeScript in a thread; what is built is none. */
const THREADS = !import.meta.url.endsWith(".ts") || Boolean(Object(process.features).typescript);

interface Asked {
  readonly decide: string;
  readonly manifest: Manifest;
  readonly reading: Reading;
}

export function decideBundle(path: string, manifest: Manifest, reading: Reading): Deciding {
  return manifest.export.entries < WORTH_A_THREAD || !THREADS
    ? { result: () => decided(bundleIn(path), manifest, reading), discard: () => {} }
    : inThread(path, manifest, reading);
}

async function decided(folder: BundleFolder, manifest: Manifest, reading: Reading): Promise<Replayed | null> {
  const recorded = recordedBundle(folder, manifest);
  return recorded === null ? null : (await replaySite(recorded, reading)).replayed;
}

async function decidedAhead(path: string, manifest: Manifest, reading: Reading): Promise<Replayed | null> {
  const recorded = recordedBundle(bundleIn(path), manifest);
  return recorded === null ? null : (await replaySite(readAhead(recorded, path, manifest, reading), reading)).replayed;
}

export function inThread(path: string, manifest: Manifest, reading: Reading): Deciding {
  const asked: Asked = { decide: path, manifest, reading };
  const thread = new Worker(new URL(import.meta.url), { workerData: asked, resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB } });
  const result = new Promise<Replayed | null>((resolve, reject) => {
    thread.once("message", resolve);
    thread.once("error", reject);
    thread.once("exit", () => reject(new Error("the thread that decides ended before it had decided")));
  });
  // whoever discards it hears of no failure
  result.catch(() => {});
  return { result: () => result, discard: () => void thread.terminate() };
}

const { decide: path, manifest, reading }: Partial<Asked> = isMainThread ? {} : Object(workerData);
if (path !== undefined && manifest !== undefined && reading !== undefined) parentPort?.postMessage(await decidedAhead(path, manifest, reading));
