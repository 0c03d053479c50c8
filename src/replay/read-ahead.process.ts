// Reads the record of a bundle in a thread of its own, ahead of whoever decides it again.
import { on } from "node:events";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { bundleIn } from "../bundle/folder.file.ts";
import type { Manifest } from "../bundle/manifest.ts";
import { type HandedPart, handOver, takeOver } from "./read-ahead.ts";
import type { RecordedSite } from "./recorded.ts";
import { type RecordedBundle, recordedBundle } from "./recorded-bundle.ts";
import type { Reading } from "./site-record.ts";

/** So many parts are read and not yet decided: some megabytes. */
const AHEAD = 2;
/** Of a part that was handed over nothing is kept: more room would only be filled. */
const YOUNG_MB = 48;

interface Asked {
  readonly readAhead: string;
  readonly manifest: Manifest;
  readonly reading: Reading;
  /** How many parts were decided. */
  readonly decided: Int32Array;
}

interface Handed extends HandedPart {
  /** The record's position when this had been read. */
  readonly position: number;
}

/** The same record, whose parts are read before they are asked for. */
export function readAhead(recorded: RecordedBundle, path: string, manifest: Manifest, reading: Reading): RecordedSite {
  let position = 0;
  return {
    ...recorded,
    get position() {
      return position;
    },
    async *read() {
      const decided = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
      const asked: Asked = { readAhead: path, manifest, reading, decided };
      const thread = new Worker(new URL(import.meta.url), { workerData: asked, resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB } });
      try {
        for await (const [message] of on(thread, "message", { close: ["exit"] })) {
          const handed: Handed | null = message;
          if (handed === null) return;
          position = handed.position;
          yield takeOver(handed);
          Atomics.add(decided, 0, 1);
          Atomics.notify(decided, 0);
        }
        throw new Error("the thread that reads ended before it had read all");
      } finally {
        await thread.terminate();
      }
    },
  };
}

async function hand({ readAhead: path, manifest, reading, decided }: Asked): Promise<void> {
  let handed = 0;
  const recorded = recordedBundle(bundleIn(path), manifest);
  for await (const part of recorded?.read() ?? []) {
    const { entries, deliveries, told } = handOver(part, reading);
    const message: Handed = { entries, deliveries, told, position: recorded?.position ?? 0 };
    parentPort?.postMessage(message, [entries, deliveries]);
    handed += 1;
    for (let by = Atomics.load(decided, 0); handed - by >= AHEAD; by = Atomics.load(decided, 0)) Atomics.wait(decided, 0, by);
  }
  parentPort?.postMessage(null);
}

const asked: Asked | Record<never, never> = isMainThread ? {} : Object(workerData);
if ("readAhead" in asked) await hand(asked);
