// One direction of one connection: what is read on one side is written on the other, in order and byte for byte, except where a toxic says otherwise.
import type { Socket } from "node:net";
import type { Effect } from "./toxics.ts";

export interface Piece {
  readonly bytes: Buffer;
  /** Awaited before the bytes are passed on. */
  readonly before?: () => Promise<void>;
  /** Late by so much, while what comes behind it passes. */
  readonly lateMs?: number;
  /** So many of the bytes are passed on, then the connection is reset. */
  readonly cutAfter?: number;
}

export interface PipeOptions {
  readonly from: Socket;
  readonly to: Socket;
  readonly random: () => number;
  effect(): Effect;
  /** What becomes of a chunk; by default it is one piece. */
  sieve?(chunk: Buffer): readonly Piece[];
  /** What the sieve still holds when the stream ends. */
  rest?(): Buffer;
  /** Bytes of it have vanished. */
  lost(): void;
  reset(): void;
}

export interface Pipe {
  /** The toxics are others now. */
  changed(): void;
  /** Resets the connection after so many more bytes. */
  cutAfter(bytes: number): void;
  /** Nothing is passed on any more. */
  stop(): void;
}

/** Read ahead of what is written at most; beyond it TCP pushes back on the sender. */
const AHEAD_BYTES = 1024 * 1024;

export function pipe(options: PipeOptions): Pipe {
  const { from, to } = options;
  const queue: { readonly due: number; readonly piece: Piece | null }[] = [];
  let ahead = 0;
  let lastDue = 0;
  let cut: number | null = null;
  let stopped = false;
  let wake = (): void => {};

  const woken = (atMostMs: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = Number.isFinite(atMostMs) ? setTimeout(resolve, atMostMs) : null;
      wake = () => {
        if (timer !== null) clearTimeout(timer);
        resolve();
      };
    });

  const enqueue = (piece: Piece | null): void => {
    const { latencyMs, jitterMs } = options.effect();
    lastDue = Math.max(lastDue, performance.now() + latencyMs + jitterMs * options.random());
    queue.push({ due: lastDue, piece });
    ahead += piece?.bytes.length ?? 0;
    if (ahead > AHEAD_BYTES) from.pause();
    wake();
  };

  from.on("data", (chunk: Buffer) => {
    for (const piece of options.sieve?.(chunk) ?? [{ bytes: chunk }]) {
      if (piece.lateMs === undefined) enqueue(piece);
      else setTimeout(() => enqueue(piece), piece.lateMs).unref();
    }
  });
  from.on("end", () => {
    const rest = options.rest?.();
    if (rest !== undefined && rest.length > 0) enqueue({ bytes: rest });
    enqueue(null);
  });

  async function run(): Promise<void> {
    while (!stopped) {
      const next = queue[0];
      if (next === undefined) await woken(Number.POSITIVE_INFINITY);
      else if (next.due > performance.now()) await woken(next.due - performance.now());
      else if (options.effect().hold) await woken(Number.POSITIVE_INFINITY);
      else {
        queue.shift();
        if (next.piece === null) return await end();
        await pass(next.piece);
        ahead -= next.piece.bytes.length;
        if (ahead <= AHEAD_BYTES) from.resume();
      }
    }
  }

  async function pass(piece: Piece): Promise<void> {
    if (options.effect().lose) {
      options.lost();
      return;
    }
    await piece.before?.();
    if (stopped) return;
    const limit = Math.min(piece.cutAfter ?? Number.POSITIVE_INFINITY, cut ?? Number.POSITIVE_INFINITY);
    const cutting = limit < piece.bytes.length || piece.cutAfter !== undefined;
    await write(cutting ? piece.bytes.subarray(0, limit) : piece.bytes);
    if (cut !== null) cut -= piece.bytes.length;
    if (cutting) options.reset();
  }

  async function write(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length && !stopped; ) {
      const rate = options.effect().bytesPerSecond;
      const size = Number.isFinite(rate) ? Math.max(1, Math.floor(rate / 20)) : bytes.length;
      const slice = bytes.subarray(at, at + size);
      await new Promise<void>((resolve) => to.write(slice, () => resolve()));
      at += slice.length;
      if (Number.isFinite(rate)) await woken((slice.length / rate) * 1000);
    }
  }

  async function end(): Promise<void> {
    const until = performance.now() + options.effect().closeDelayMs;
    while (!stopped && performance.now() < until) await woken(until - performance.now());
    // a toxic that came meanwhile holds for the end as well
    while (!stopped && (options.effect().hold || options.effect().lose)) await woken(Number.POSITIVE_INFINITY);
    if (!stopped) to.end();
  }

  void run();
  return {
    changed: () => wake(),
    cutAfter: (bytes) => {
      cut = bytes;
    },
    stop: () => {
      stopped = true;
      wake();
    },
  };
}
