import { follow } from "./anchors.ts";
import { signCheckpoint } from "./checkpoint.ts";
import { disposedLine } from "./disposed-line.ts";
import { HASH_BYTES } from "./hash.ts";
import { currentKey, introductionOf } from "./key-ring.ts";
import { mirrored } from "./mirror.ts";
import type { SigningKey, VerifierKey } from "./note-key.ts";
import { type Decision, decide, type Log, lookAgain, type Refused, type Remembered, refused } from "./signer.ts";
import { fold, openSigner } from "./signer-opening.ts";
import type { Following, SignedCheckpoint, SignerOptions, Signing, Step } from "./signer-options.ts";
import type { SignerFiles } from "./signer-state.file.ts";
import type { SignerState } from "./signer-state.ts";
import { TILE_WIDTH, type Tile } from "./tiles.ts";

/**
 * The signer of one site. `step` does one thing and comes back; after anything but `idle` and a refusal there may be more to do at once. The order within a step is the promise: leaves,
 * mirror, state, database. Broken off anywhere it goes on from its files, and never signs one size with two roots. It throws what files and database throw; a refusal it repeats
 * until what it names is mended.
 */
export function createSigner(options: SignerOptions): { step(): Promise<Step> } {
  const { files, keys, breaks = [] } = options;
  /** Null: the files are to be read first. */
  let stand: Following | Signing | null = null;
  /** The logs before the one that is signed, and where among their leaves the next step looks again; null: not read yet. */
  let ended: { readonly logs: readonly Ended[]; readonly turn: number; readonly scrub: number } | null = null;

  async function step(): Promise<Step> {
    const now = stand ?? (await openSigner(options));
    if ("kind" in now) return now;
    stand = now;
    return now.at === "following" ? followOn(now) : sign(now);
  }

  const told = async (): Promise<number> => (await options.disposed?.()) ?? 0;

  /** After a write that failed nobody knows what is on the disk: the files are read anew. */
  async function onDisk<T>(write: () => Promise<T>): Promise<T> {
    const before = stand;
    stand = null;
    const written = await write();
    stand = before;
    return written;
  }

  async function followOn(now: Following): Promise<Step> {
    const { held, anchors, state } = now;
    const { log, tree } = held;
    const disposed = Math.max(state.disposed, await told());
    const followed = follow(held, anchors, await options.look({ log: log.log, after: log.first + tree.size - 1, again: [], disposed }), breaks);
    if (followed.kind === "refused") return followed;
    const { agreed, leaves } = followed;
    const reached: SignerState = agreed === null ? state : { ...state, size: agreed.size, root: agreed.root, note: agreed.note };
    const next: Following = { ...now, held: { log, tree: followed.tree }, state: reached };
    if (leaves.length > 0) await onDisk(() => files.keep(log.log, tree.size, leaves));
    if (followed.done && followed.brokenBy !== null) return endLog(reached, "broken", followed.brokenBy);
    stand = await onDisk(async () => (followed.done ? settle(next) : next));
    return { kind: "following", log: log.log, size: followed.tree.size, of: anchors.at(-1)?.size ?? 0 };
  }

  /** The last anchor becomes the state. It stands at the end of the mirror, again if something torn lies behind it, so that the next start finds the one with the other. */
  async function settle({ held, state, torn }: Following): Promise<Signing> {
    const { log } = held.log;
    const noted = state.note === null ? "" : mirrored(state.note, false);
    const tail = await files.mirror(log, Math.max(0, (await files.mirrorBytes(log)) - Buffer.byteLength(noted)));
    if (torn || tail.toString() !== noted) await files.append(log, state.note === null ? "\n\n" : mirrored(state.note, torn));
    const saved: SignerState = { ...state, mirrorBytes: await files.mirrorBytes(log) };
    await files.save(saved);
    return { at: "signing", held, state: saved, filled: null };
  }

  async function sign(before: Signing): Promise<Step> {
    const { held, state } = before;
    const { log } = held;
    const mirrorBytes = await files.mirrorBytes(log.log);
    if (mirrorBytes !== state.mirrorBytes)
      return refused("mirror-disagrees", log, null, `The mirror of log ${log.log} has ${mirrorBytes} bytes; ${state.mirrorBytes} were written to it.`);
    const position = log.first + state.size - 1;
    const disposed = Math.max(state.disposed, await told());
    // the first leaf of a log whose entry is still there
    const kept = ({ first }: Log): number => Math.max(0, disposed + 1 - first);
    const { begin, end, next: scrub } = lookAgain(state.size, state.scrub, kept(log));
    ended ??= { logs: await endedBefore(files, log), turn: 0, scrub: 0 };
    const old = ended.logs[ended.turn % ended.logs.length] ?? { log, size: 0 };
    const oldPart = lookAgain(old.size, ended.scrub, kept(old.log));
    const last = Math.max(kept(log), state.size - 1);
    const remembered = [
      ...(await remember(old.log, oldPart.begin, oldPart.end)),
      ...(await remember(log, begin, end)),
      ...(await remember(log, Math.max(end, last), state.size)),
    ];
    if (remembered.some(({ leaf }) => leaf.length < HASH_BYTES))
      return refused("damaged-state", log, null, `The kept leaves of log ${log.log}, or of one before it, end before what was signed.`);
    const again = [placesOf(old.log, oldPart.begin, oldPart.end), placesOf(log, begin, end), placesOf(log, last, state.size)].filter(
      ([from, to]) => from <= to,
    );
    const shown = await options.look({ log: log.log, after: position, again, disposed });
    const decision = decide(held, remembered, shown, breaks);
    if (decision.kind === "refused") return decision;

    const now: Signing = { ...before, state: { ...state, scrub } };
    stand = now;
    ended = { ...ended, turn: oldPart.next === 0 ? ended.turn + 1 : ended.turn, scrub: oldPart.next };
    await handOver(now, shown.handed);
    if (decision.kind === "idle") return { kind: "idle", checkpoint: checkpointOf(state), position };
    if (decision.kind === "ended") return endLog(now.state, decision.how, decision.next);
    return write(now, decision, disposed, shown.last);
  }

  /** Nothing more is signed of this log; the next step begins the next one. */
  async function endLog(state: SignerState, how: "complete" | "broken", next: Log): Promise<Step> {
    await onDisk(() => files.save({ ...state, ended: how }));
    stand = null;
    ended = null;
    return { kind: "ended", log: state.log.log, how, next: next.log };
  }

  async function write(now: Signing, { leaves, tree, tiles }: Extract<Decision, { kind: "sign" }>, disposed: number, last: number): Promise<Step> {
    const { held, state } = now;
    const { log } = held;
    const signing = keysOf(state);
    if ("kind" in signing) return signing;
    const gone = disposed > state.said ? [disposedLine(disposed)] : [];
    const checkpoint = { origin: log.origin, size: tree.size, root: tree.root(), extensions: [...signing.introduced.map(introductionOf), ...gone] };
    const note = signCheckpoint(checkpoint, signing.by);
    const text = mirrored(note, false);
    const saved: SignerState = {
      ...state,
      size: tree.size,
      root: checkpoint.root,
      note,
      mirrorBytes: state.mirrorBytes + Buffer.byteLength(text),
      ring: [...state.ring, ...signing.introduced],
      disposed,
      said: disposed,
    };
    await onDisk(async () => {
      await files.keep(log.log, state.size, leaves);
      await files.append(log.log, text);
      await files.save(saved);
    });
    const signed: Signing = { at: "signing", held: { log, tree }, state: saved, filled: { since: state.size, tiles } };
    stand = signed;
    await handOver(signed, state.size);
    return { kind: "signed", position: log.first + tree.size - 1, last, log: log.log, size: tree.size, root: checkpoint.root, note };
  }

  /** Whose signatures the next checkpoint bears: the key's that signs now, and of one that is to follow it. */
  function keysOf({ log, ring }: SignerState): { readonly by: readonly SigningKey[]; readonly introduced: readonly VerifierKey[] } | Refused {
    const now = currentKey(ring);
    const current = keys.find(({ verifier }) => verifier.text === now.text);
    if (current === undefined) return refused("unknown-key", log, null, `The private key of ${now.name}+${now.id}, which signs now, is not at hand.`);
    const next = keys.slice(keys.indexOf(current) + 1).find(({ verifier }) => !ring.some(({ text }) => text === verifier.text));
    return next === undefined ? { by: [current], introduced: [] } : { by: [current, next], introduced: [next.verifier] };
  }

  /** Hands over what the database lacks. Of what was signed before this start, the tiles are made anew from the kept leaves. */
  async function handOver({ held, state, filled }: Signing, handed: number): Promise<void> {
    const checkpoint = checkpointOf(state);
    if (checkpoint === null || handed >= checkpoint.size) return;
    await options.hand(checkpoint, filled !== null && filled.since <= handed ? filled.tiles : await filledSince(held.log, handed, state.size));
  }

  async function filledSince({ log }: Log, since: number, size: number): Promise<readonly Tile[]> {
    const tiles: Tile[] = [];
    await fold(files, log, size, (tile) => {
      if ((tile.n + 1) * TILE_WIDTH ** (tile.level + 1) > since) tiles.push(tile);
    });
    return tiles;
  }

  async function remember(log: Log, begin: number, end: number): Promise<readonly Remembered[]> {
    const leaves = begin < end ? await files.leaves(log.log, begin, end) : Buffer.alloc(0);
    return Array.from({ length: Math.max(0, end - begin) }, (_, i) => ({
      position: log.first + begin + i,
      leaf: leaves.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES),
    }));
  }

  return { step };
}

/** A log that ended, and how many of its leaves still stand: behind a restore none do. */
interface Ended {
  readonly log: Log;
  readonly size: number;
}

async function endedBefore(files: SignerFiles, log: Log): Promise<readonly Ended[]> {
  const ended: Ended[] = [];
  let next = log;
  for (const number of [...(await files.logs())].reverse()) {
    if (number >= log.log) continue;
    const state = await files.load(number);
    if (state === null) continue;
    ended.push({ log: state.log, size: Math.min(state.size, Math.max(0, next.first - state.log.first)) });
    next = state.log;
  }
  return ended;
}

/** The positions of the leaves [begin, end). */
const placesOf = ({ first }: Log, begin: number, end: number): readonly [from: number, to: number] => [first + begin, first + end - 1];

const checkpointOf = ({ log, size, root, note }: SignerState): SignedCheckpoint | null => (note === null ? null : { log: log.log, size, root, note });
