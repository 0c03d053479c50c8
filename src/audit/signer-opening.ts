import { type Anchor, readAnchors } from "./anchors.ts";
import { EMPTY_ROOT, HASH_BYTES } from "./hash.ts";
import type { KeyRing } from "./key-ring.ts";
import { mirrored } from "./mirror.ts";
import { beganInItsPlace, type Held, type Log, nextLog, refused, refuseForeign } from "./signer.ts";
import type { Following, SignerOptions, Signing, Step } from "./signer-options.ts";
import type { SignerFiles } from "./signer-state.file.ts";
import type { SignerState } from "./signer-state.ts";
import { type Tile, TiledTree } from "./tiles.ts";

/**
 * Where a signer begins: at its own state, if its leaves give the root that it signed and the mirror ends with the checkpoint that it wrote there; otherwise at the anchors. Where
 * the mirror is ahead of the state (a crash came between the two), what was anchored was signed, and must be reached from the database first.
 */
export async function openSigner(options: SignerOptions): Promise<Step | Following | Signing> {
  const { files } = options;
  const log = (await files.logs()).at(-1);
  if (log === undefined) return beginFirst(options);
  const state = await files.load(log);
  if (state === null)
    return refused("damaged-state", null, null, `The state of log ${log} cannot be read. Without its folder the signer begins from the anchors.`);
  if (state.ended !== null) return beginNext(options, state);
  // leaves behind the signed ones are of a step that a crash broke off: they are read again
  await files.cut(log, state.size);
  const held: Held = { log: state.log, tree: await fold(files, log, state.size) };
  if (held.tree.size !== state.size || !held.tree.root().equals(state.root))
    return refused(
      "damaged-state",
      state.log,
      null,
      `The kept leaves of log ${log} do not give the signed root. Without its folder the signer begins from the anchors.`,
    );
  return openMirror(options, held, state);
}

const CHUNK = 2_048;

/** The tree of the first `size` leaves that are kept; a smaller one when they are not all there. */
export async function fold(files: SignerFiles, log: number, size: number, filled?: (tile: Tile) => void): Promise<TiledTree> {
  const tree = new TiledTree();
  while (tree.size < size) {
    const leaves = await files.leaves(log, tree.size, Math.min(size, tree.size + CHUNK));
    if (leaves.length < HASH_BYTES) break;
    for (let at = 0; at + HASH_BYTES <= leaves.length; at += HASH_BYTES) for (const tile of tree.append(leaves.subarray(at, at + HASH_BYTES))) filled?.(tile);
  }
  return tree;
}

async function openMirror({ files, adopt }: SignerOptions, held: Held, state: SignerState): Promise<Step | Following | Signing> {
  const { log } = held;
  const noted = state.note === null ? "" : mirrored(state.note, false);
  const from = Math.max(0, state.mirrorBytes - Buffer.byteLength(noted));
  const text = (await files.mirror(log.log, from)).toString();
  const begunAnew = adopt === true && (await files.mirrorBytes(log.log)) === 0;
  if (!text.startsWith(noted) && !begunAnew)
    return refused("mirror-disagrees", log, null, `The mirror of log ${log.log} lacks the checkpoint of size ${state.size} that was written to it.`);
  if (text === noted) return { at: "signing", held, state, filled: null };
  const read = readAnchors(text, log.origin, state.ring);
  if (read.kind === "refused") return { ...read, log: log.log };
  const signed: Anchor[] = state.note === null ? [] : [{ size: state.size, root: state.root, note: state.note }];
  const ahead = read.anchors.filter(({ size }) => size > state.size);
  const disposed = Math.max(state.disposed, read.disposed);
  const said = Math.max(state.said, read.disposed);
  return { at: "following", held, anchors: [...signed, ...ahead], torn: read.torn, state: { ...state, ring: read.ring, disposed, said } };
}

async function beginFirst(options: SignerOptions): Promise<Step | Following> {
  const { logs, last } = await options.look({ log: null, after: null, again: [] });
  const [first] = logs;
  if (first === undefined) return { kind: "idle", checkpoint: null, position: 0 };
  const ring = options.trust ?? [options.keys[0].verifier];
  const begun = await begin(options, first, ring, await disposedInMirrors(options.files, logs, ring));
  if ("kind" in begun || begun.anchors.length > 0 || last < first.first || options.adopt === true) return begun;
  return refused(
    "no-anchor",
    first,
    first.first,
    `Log ${first.log} has entries, but there is no anchor of it to begin from. Adopting it vouches for what is there.`,
  );
}

/** Up to which position entries were disposed of, by the word of the notes in the mirrors: those of an ended log are told of in a later one's. */
async function disposedInMirrors(files: SignerFiles, logs: readonly Log[], ring: KeyRing): Promise<number> {
  let keys = ring;
  let disposed = 0;
  for (const { log, origin } of logs) {
    const read = readAnchors((await files.mirror(log, 0)).toString(), origin, keys);
    // what is wrong with it is said when its turn comes
    if (read.kind === "refused") break;
    keys = read.ring;
    disposed = Math.max(disposed, read.disposed);
  }
  return disposed;
}

/** A log that was signed to its end is an anchor for the beginning of the next: this signer has been there. */
async function beginNext(options: SignerOptions, { log, ring, disposed }: SignerState): Promise<Step | Following> {
  const { logs } = await options.look({ log: null, after: null, again: [] });
  const instead = beganInItsPlace(log, logs, options.breaks ?? []);
  if (instead !== null) return begin(options, instead, ring, disposed);
  const foreign = refuseForeign(log, logs);
  if (foreign !== null) return foreign;
  const next = nextLog(log, logs);
  return next === null
    ? refused("foreign-log", log, null, `The log after log ${log.log} is not in the database any more.`)
    : begin(options, next, ring, disposed);
}

/** `disposed`: up to which position the checkpoints of other logs have said that entries are gone. */
async function begin({ files }: SignerOptions, log: Log, ring: KeyRing, disposed: number): Promise<Step | Following> {
  const read = readAnchors((await files.mirror(log.log, 0)).toString(), log.origin, ring);
  if (read.kind === "refused") return { ...read, log: log.log };
  await files.cut(log.log, 0);
  const state: SignerState = {
    log,
    size: 0,
    root: EMPTY_ROOT,
    note: null,
    mirrorBytes: 0,
    ring: read.ring,
    scrub: 0,
    disposed: Math.max(disposed, read.disposed),
    said: read.disposed,
    ended: null,
  };
  return { at: "following", held: { log, tree: new TiledTree() }, anchors: read.anchors, torn: read.torn, state };
}
