import { mayAnswerOn } from "../decode/topic.ts";
import type { WithSpan } from "../ops/telemetry.ts";
import type { Time } from "../ops/time.ts";
import type { Handed } from "./handed.ts";
import { batchStateMessage, checkpointMessage, clearedBatchState, cursorMessage, type Message, outcomeMessage, verdictMessage } from "./messages.ts";
import type { Publisher } from "./publisher.mqtt.ts";
import type { Publishable, RelayStore, ToldVerdicts } from "./relay.store.ts";

export interface RelayOptions {
  readonly store: RelayStore;
  readonly publisher: Pick<Publisher, "publish" | "connected">;
  readonly time: Time;
  readonly site: string;
  readonly prefix: string;
  readonly verdicts: ToldVerdicts;
  /** Positions published per round. */
  readonly window?: number;
  readonly withSpan: WithSpan;
  onPublished(count: { readonly outcomes: number; readonly verdicts: number; readonly mirrors: number }, through: number): void;
  onTrouble(error: unknown): void;
}

/**
 * The relay publishes what is committed, in position order, at least once, with ids that never differ; its cursor moves only behind what the broker acknowledged.
 * Mirrors and cursors are always read anew before they are published, so they never go backwards; after a new connection all of them are published again.
 */
export interface Relay {
  /** Something was committed: its positions, the first and the last, whose mirrors changed, and what it hands over; null: it is to be read. */
  announce(sources: Iterable<string>, batches: Iterable<string>, first: number, last: number, handed: Handed | null): void;
  /** A new connection to the broker: it may have lost everything retained. */
  reconnected(): void;
  /** A signer has signed: more may be shown, and there is a checkpoint to publish. */
  signed(): void;
  start(): Promise<void>;
  /** Publishes what is committed, as long as the broker answers, then stops. */
  stop(): Promise<void>;
  readonly position: number;
}

const MIRROR_SWEEP_MS = 3_600_000;
/** How often it looks by itself: a commit whose reply was lost may be made later, and then nobody announces it. */
const LOOK_MS = 5_000;
const RETRY_MS = 500;
/** How often it looks whether more was signed, while something is committed that may not be shown yet. */
const UNSIGNED_MS = 250;
/** How often mirrors and cursors are published at most: each replaces the one before it, and to read and send one costs as much as an outcome. */
const MIRRORS_MS = 250;
/** How long mirrors and cursors may wait for the outcomes before them, where those do not end. */
const MIRRORS_WAIT_MS = 1_000;
/** How many positions are kept that were handed over and not published: what is more is read. */
const HANDED = 2_000;
const SEND = "send site/{site}/line/{line}/batch/{batch}/outcome";

export function createRelay(options: RelayOptions): Relay {
  const { store, publisher, time, site, prefix } = options;
  const window = options.window ?? 500;
  let position = 0;
  let everything = true;
  /** The last position of which somebody told. */
  let announced = 0;
  /** Groups that were handed over, in their order. */
  let handed: Handed[] = [];
  /** The site was set to show what is committed when it was read last; what is handed over without a hole since then may be shown, for setting it otherwise takes a position. */
  let atOnce = false;
  const sources = new Set<string>();
  const batches = new Set<string>();
  /** Mirrors that tell of commits up to a position which may not be shown yet. */
  let held: { readonly upTo: number; readonly messages: readonly Message[] } | null = null;
  let note: { readonly published: string | null; readonly stale: boolean } = { published: null, stale: true };
  /** Something is committed that may not be shown yet. */
  let unsigned = false;
  /** How far the cursor has moved, and its last move. */
  let moved = 0;
  let moving = Promise.resolve();
  let mirroredAt = Number.NEGATIVE_INFINITY;
  let wanted = true;
  let stopping = false;
  let sweepAt = 0;
  let wake: (() => void) | null = null;
  let running: Promise<void> | null = null;

  const signal = (): void => {
    wanted = true;
    wake?.();
  };

  async function run(): Promise<void> {
    while (!stopping || wanted) {
      if (!wanted) {
        await idle(mirrorsWait() ? mirrorsIn() : LOOK_MS);
        if (stopping && !wanted) return;
      }
      // nobody told of it, so nobody knows whose mirrors changed
      const looking = !wanted;
      wanted = false;
      if (!publisher.connected) {
        if (stopping) return;
        await idle(RETRY_MS);
        wanted = true;
        continue;
      }
      try {
        await publishAll(looking);
        if (unsigned && !stopping) {
          await idle(UNSIGNED_MS);
          wanted = true;
        }
      } catch (error) {
        options.onTrouble(error);
        if (stopping) return;
        atOnce = false;
        everything = true;
        wanted = true;
        await idle(RETRY_MS);
      }
    }
  }

  /** Until something is to be done, or the time is over. */
  const idle = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        callOff();
        wake = null;
        resolve();
      };
      const callOff = time.after(ms, done);
      wake = done;
    });

  /** Whether something beside verdicts and outcomes is to be published now, for which it is asked first up to where it may be shown. */
  const mirrorsDue = (): boolean => everything || stopping || note.stale || held !== null || mirrorsIn() === 0;

  /** How long mirrors are still to wait. A clock that went back has them wait no longer: nothing else would be looked for meanwhile. */
  const mirrorsIn = (): number => {
    const since = time.now() - mirroredAt;
    return since < 0 ? 0 : Math.max(0, MIRRORS_MS - since);
  };

  const mirrorsWait = (): boolean => sources.size > 0 || batches.size > 0;

  async function publishAll(looking: boolean): Promise<void> {
    let mirrored = time.now();
    let found: Publishable;
    for (;;) {
      found = (await takeHanded()) ?? (await read());
      if (found.through === position) break;
      if (looking) everything = true;
      const messages = inOrder(found);
      await Promise.all(
        messages.map((message) => (message.traceparent == null ? send(message) : options.withSpan(SEND, {}, message.traceparent, () => send(message)))),
      );
      position = found.through;
      moveCursor();
      options.onPublished({ outcomes: found.outcomes.length, verdicts: messages.length - found.outcomes.length, mirrors: 0 }, position);
      // a device whose cursor stands still sends again what it has: under a load that never pauses that would make it ever more
      if (time.now() - mirrored < MIRRORS_WAIT_MS) {
        if (atOnce && position >= announced && !mirrorsDue()) return;
        continue;
      }
      await publishMirrors(await store.readPublishable(position, 0, options.verdicts, position));
      mirrored = time.now();
    }
    moveCursor();
    await moving;
    await publishMirrors(found);
  }

  /** One move after the other. What is next to be published does not wait for it; one that fails is made up for by the next. */
  function moveCursor(): void {
    moving = moving
      .then(async () => {
        const to = position;
        if (to <= moved) return;
        await store.moveCursor(to);
        moved = to;
      })
      .catch(options.onTrouble);
  }

  /** What was handed over and follows on what is published, as much as one round takes; null: there is none. It need not be read, nor asked whether it may be shown. */
  async function takeHanded(): Promise<Publishable | null> {
    handed = handed.filter(({ first }) => first > position);
    if (!atOnce) return null;
    let through = position;
    const taken: Handed[] = [];
    for (const group of handed) {
      if (group.first !== through + 1 || (taken.length > 0 && group.last - position > window)) break;
      taken.push(group);
      through = group.last;
    }
    if (taken.length === 0) return null;
    // the next group asks for its world first: it would wait for as long as it takes to send these
    await new Promise<void>((resolve) => time.soon(resolve));
    const verdicts = taken.some(({ tellsVerdicts }) => tellsVerdicts) ? await store.readVerdicts(position, through, options.verdicts) : [];
    return { verdicts, outcomes: taken.flatMap(({ outcomes }) => outcomes), through, committed: through, shown: through, atOnce };
  }

  async function read(): Promise<Publishable> {
    const found = await store.readPublishable(position, window, options.verdicts, unsigned ? position : announced);
    unsigned = found.shown < found.committed;
    atOnce = found.atOnce;
    return found;
  }

  /** Verdicts before the outcomes of the same position: the sender learns first. */
  function inOrder(found: Publishable): (Message & { readonly traceparent?: string | null })[] {
    const byPosition: { position: number; message: Message; traceparent?: string | null }[] = [];
    for (const verdict of found.verdicts) {
      const message = verdictMessage(verdict, prefix);
      if (message === null) continue;
      byPosition.push({ position: verdict.position, message });
      const { responseTopic, topicLine, topicEquipment } = verdict;
      if (
        responseTopic !== null &&
        topicLine !== null &&
        topicEquipment !== null &&
        mayAnswerOn(responseTopic, prefix, { site, line: topicLine, equipment: topicEquipment })
      ) {
        byPosition.push({ position: verdict.position, message: { ...message, topic: responseTopic, correlationData: verdict.correlationData } });
      }
    }
    for (const outcome of found.outcomes)
      byPosition.push({ position: outcome.position, message: outcomeMessage(outcome, prefix), traceparent: outcome.traceparent });
    return byPosition.sort((a, b) => a.position - b.position).map(({ message, traceparent }) => ({ ...message, traceparent: traceparent ?? null }));
  }

  async function publishMirrors(at: Publishable): Promise<void> {
    await publishCheckpoint();
    if (held !== null) {
      if (position < held.upTo) return;
      await sendMirrors(held.messages);
      held = null;
    }
    if (!mirrorsDue()) return;
    mirroredAt = time.now();
    const all = everything;
    const theseSources = all ? null : [...sources];
    const theseBatches = all ? null : [...batches];
    everything = false;
    sources.clear();
    batches.clear();
    try {
      const messages: Message[] = [];
      if (theseSources === null || theseSources.length > 0) messages.push(...(await store.readCursors(theseSources)).map((row) => cursorMessage(row, prefix)));
      if (theseBatches === null || theseBatches.length > 0)
        messages.push(...(await store.readBatchMirrors(theseBatches)).map((row) => batchStateMessage(row, prefix)));
      if (time.now() >= sweepAt) {
        sweepAt = time.now() + MIRROR_SWEEP_MS;
        messages.push(...(await store.readExpiredMirrors()).map((row) => clearedBatchState(row, prefix)));
      }
      // mirrors tell of what was committed until they were read
      const upTo = at.shown < at.committed ? (await store.readPublishable(position, 0, options.verdicts, position)).committed : 0;
      if (position < upTo) held = { upTo, messages };
      else await sendMirrors(messages);
    } catch (error) {
      everything = true;
      throw error;
    }
  }

  async function sendMirrors(messages: readonly Message[]): Promise<void> {
    await Promise.all(messages.map(send));
    if (messages.length > 0) options.onPublished({ outcomes: 0, verdicts: 0, mirrors: messages.length }, position);
  }

  async function publishCheckpoint(): Promise<void> {
    if (!note.stale) return;
    const latest = await store.readCheckpoint();
    if (latest !== null && latest !== note.published) await send(checkpointMessage(site, latest, prefix));
    note = { published: latest, stale: false };
  }

  const send = (message: Message): Promise<void> =>
    publisher.publish({
      topic: message.topic,
      payload: message.payload,
      retain: message.retain,
      qos: 1,
      properties: {
        contentType: message.contentType ?? "application/cloudevents+json; charset=utf-8",
        ...(message.correlationData === null ? {} : { correlationData: message.correlationData }),
      },
    });

  return {
    get position() {
      return position;
    },
    announce(changedSources, changedBatches, first, last, group) {
      if (first > announced + 1) everything = true;
      announced = last;
      if (group !== null) handed.push(group);
      // while the broker is away they would be ever more
      if (handed.length > 0 && last - (handed[0]?.first ?? last) >= HANDED) handed = [];
      for (const source of changedSources) sources.add(source);
      for (const batch of changedBatches) batches.add(batch);
      signal();
    },
    reconnected() {
      everything = true;
      atOnce = false;
      note = { published: null, stale: true };
      signal();
    },
    signed() {
      note = { ...note, stale: true };
      signal();
    },
    async start() {
      if (running !== null) return;
      position = await store.readCursor();
      moved = position;
      running = run();
    },
    async stop() {
      stopping = true;
      wanted ||= mirrorsWait();
      wake?.();
      await running;
    },
  };
}
