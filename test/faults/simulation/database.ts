import type { Log } from "../../../src/audit/signer.ts";
import type { Ask, Shown, SignedCheckpoint, SignerOptions } from "../../../src/audit/signer-options.ts";
import type { Committed } from "../../../src/commit/commit.store.ts";
import type { Holder, Taken } from "../../../src/commit/lease.store.ts";
import type { SettlementDocument } from "../../../src/commit/settlement.ts";
import type { Tick } from "../../../src/decide/signal.ts";
import type { WorldData } from "../../../src/decide/world-data.ts";
import type { WorldRequest } from "../../../src/decide/world-request.ts";
import type { Time } from "../../../src/ops/time.ts";
import type { RelayStore } from "../../../src/publish/relay.store.ts";
import { Moved } from "../../../src/replay/refuse.ts";
import type { Model } from "../../support/model.ts";
import type { SimProcess } from "./process.ts";
import { GENERATION, storedForRelay } from "./stored.ts";

/** What the driver throws, as db/failure.ts meets it. */
const thrown = (message: string, code?: string, syscall?: string): Error =>
  Object.assign(new Error(message), code === undefined ? {} : { code }, syscall === undefined ? {} : { syscall });

export const ERRORS = {
  refused: () => thrown("connect ECONNREFUSED", "ECONNREFUSED", "connect"),
  lost: () => thrown("Connection terminated unexpectedly"),
  terminated: () => thrown("terminating connection due to administrator command", "57P01"),
  late: () => thrown("Query read timeout"),
  diskFull: () => thrown("could not extend file: No space left on device", "53100"),
  lockTimeout: () => thrown("canceling statement due to lock timeout", "55P03"),
  moved: (what: string) => thrown(what, "SB001"),
  fenced: () => thrown("the shard is no longer owned under this term", "SB002"),
} as const;

/** What the database does to the statements that reach it, until it is told otherwise. */
export interface Troubles {
  /** Refuses connections. */
  down: boolean;
  /** Cannot write. */
  diskFull: boolean;
  /** A schema change holds the rows that commits lock. */
  locked: boolean;
  /** The next so many commits are made, and their replies lost. */
  replies: number;
  /** Every statement and reply takes up to so many milliseconds longer. */
  slow: number;
  /** The next so many commits lie on their way for longer than the caller waits, and are made after that. */
  stalls: number;
  /** The same for commits that take no identity: no unique key knows them again, so that only the versions tell that the world has moved on. */
  nameless: number;
}

export interface CommitSeen {
  readonly at: number;
  readonly owner: string;
  readonly term: number;
  readonly first: number;
  readonly last: number;
}

/** What a statement writes: a disk that is full and a row that is locked stop only those that write. */
type Writes = "nothing" | "something" | "commit";

interface Query {
  readonly process: SimProcess;
  readonly writes: Writes;
  executed: boolean;
  /** Its caller hears an error instead of an answer. */
  end(error: Error): void;
}

interface Crash {
  readonly point: "C14" | "C15";
  /** For how long nothing answers, in milliseconds. */
  readonly ms: number;
}

type DatabasePoint = "C13" | "C14" | "C15" | "C17" | "C18";

const ANSWER_MS = 30_000;
/** How much later than its caller waits a stalled commit is made, at most. */
const STALLED_MS = 1_000;
const LEASE_MS = 3_000;
const LOCK_TIMEOUT_MS = 300;

/**
 * Postgres as the service meets it: each statement is one moment, made whole or not at all, some time after it was sent; its reply comes some time after that, or never. What a
 * settlement does is the record's in memory (src/replay), which is held against the real function by test/upgrade.
 */
export class SimDatabase {
  readonly model: Model;
  readonly troubles: Troubles = { down: false, diskFull: false, locked: false, replies: 0, slow: 0, stalls: 0, nameless: 0 };
  readonly commits: CommitSeen[] = [];
  readonly relay = { position: 0 };
  readonly log: Log;
  /** The entries of the log, in order: the first is that of the log's first position. None where nobody signs. */
  readonly entries: Buffer[] = [];
  readonly checkpoints: SignedCheckpoint[] = [];
  readonly #signs: boolean;
  readonly #shows: "commit" | "checkpoint";
  readonly #time: Time;
  readonly #latency: () => number;
  readonly #onPoint: (point: DatabasePoint) => void;
  readonly #queries = new Set<Query>();
  readonly #groups = new Map<string, Committed>();
  #step = 0;
  #term = 0;
  #lease: { owner: string; until: number } | null = null;
  #crash: Crash | null = null;
  #receivedUntil: number | null = null;
  /** Whether the lease was ever given away under its owner. */
  #mistaken = false;

  constructor(
    time: Time,
    model: Model,
    options: { readonly latency: () => number; readonly signs: boolean; readonly shows: "commit" | "checkpoint"; onPoint(point: DatabasePoint): void },
  ) {
    this.#time = time;
    this.model = model;
    this.log = { log: 1, origin: `signalbox/${model.options.site}/1`, first: model.position + 1 };
    this.#signs = options.signs;
    this.#shows = options.shows;
    this.#latency = options.latency;
    this.#onPoint = options.onPoint;
  }

  /** Its own clock, which may step: time is what it says. */
  #now(): number {
    return this.#time.now() + this.#step;
  }

  stepClock(ms: number): void {
    this.#step += ms;
  }

  /** RFC 3339, as a process knows it that has carried the last answer on. */
  get clock(): string {
    this.model.now = this.#now();
    return this.model.clock;
  }

  get holder(): Holder | null {
    return this.#lease === null ? null : { owner: this.#lease.owner, term: this.#term };
  }

  /** Whether a commit is still on its way, whoever has given it up. */
  get committing(): boolean {
    return [...this.#queries].some(({ writes }) => writes === "commit");
  }

  /** One statement. `make` runs at the server, at one moment. */
  #query<T>(process: SimProcess, make: () => T, writes: Writes = "nothing", stalls: () => boolean = () => false): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const query: Query = {
        process,
        writes,
        executed: false,
        end: (error) => {
          if (this.#queries.delete(query)) this.#time.after(this.#latency(), () => process.enter(() => reject(error)));
        },
      };
      const execute = (): void => this.#execute(query, make, writes, resolve);
      process.enter(() => {
        this.#queries.add(query);
        if (this.troubles.down) query.end(ERRORS.refused());
        else if (stalls()) {
          // the caller gives up and may ask again; the statement lies on its way, and is executed all the same, perhaps behind what was judged after it
          this.#time.after(ANSWER_MS, () => process.enter(() => reject(ERRORS.late())));
          this.#time.after(ANSWER_MS + this.#time.chance() * STALLED_MS, execute);
        } else this.#time.after(this.#latency(), execute);
      });
    });
  }

  #execute<T>(query: Query, make: () => T, writes: Writes, resolve: (answer: T) => void, waited = false): void {
    if (!this.#queries.has(query)) return;
    if (writes !== "nothing" && this.troubles.locked && !waited) {
      this.#time.after(LOCK_TIMEOUT_MS, () => this.#execute(query, make, writes, resolve, true));
      return;
    }
    const refusal = writes === "nothing" ? null : this.#refusal(writes);
    const crash = writes === "commit" ? this.#crash : null;
    if (refusal !== null) query.end(refusal);
    else if (crash !== null && this.#time.chance() < 0.5) this.#crashNow(crash);
    else this.#make(query, make, writes, resolve, crash);
  }

  #make<T>(query: Query, make: () => T, writes: Writes, resolve: (answer: T) => void, crash: Crash | null): void {
    this.model.now = this.#now();
    let answer: T;
    try {
      answer = make();
    } catch (error) {
      query.end(error instanceof Moved ? ERRORS.moved(error.message) : error instanceof Error ? error : new Error(String(error)));
      return;
    }
    query.executed = true;
    if (crash !== null) this.#crashNow(crash);
    else if (writes === "commit" && this.troubles.replies > 0) {
      this.troubles.replies -= 1;
      query.end(ERRORS.lost());
    } else {
      this.#time.after(this.#latency(), () => {
        if (this.#queries.delete(query)) query.process.enter(() => resolve(answer));
      });
    }
  }

  #refusal(writes: Writes): Error | null {
    if (!this.troubles.locked && !this.troubles.diskFull) return null;
    if (writes === "commit") this.#onPoint(this.troubles.locked ? "C18" : "C17");
    return this.troubles.locked ? ERRORS.lockTimeout() : ERRORS.diskFull();
  }

  /** Ends every statement of a process, or of all: what was made stays, what was not made is not made; both callers hear the same. */
  terminate(owner: SimProcess | null, error: () => Error): void {
    for (const query of [...this.#queries]) if (owner === null || query.process === owner) query.end(error());
  }

  /** A process died with statements on their way: by half a chance they had not left it. */
  perhaps(process: SimProcess): void {
    if (this.#time.chance() < 0.5) for (const query of [...this.#queries]) if (query.process === process && !query.executed) query.end(ERRORS.lost());
  }

  /** `pg_ctl stop -m immediate` as soon as a commit has reached the server: by half a chance before it is made, otherwise before its reply is sent. */
  crashAtCommit(crash: Crash): void {
    this.#crash = crash;
  }

  #crashNow(crash: Crash): void {
    this.#crash = null;
    this.#onPoint(crash.point);
    this.troubles.down = true;
    this.terminate(null, ERRORS.lost);
    this.#time.after(crash.ms, () => {
      this.troubles.down = false;
    });
  }

  heal(): void {
    this.#crash = null;
    Object.assign(this.troubles, { down: false, diskFull: false, locked: false, replies: 0, slow: 0, stalls: 0, nameless: 0 });
  }

  /** Gives the shard to the next who asks, whoever holds it: a mistake, which the term makes harmless. */
  forgetLease(): void {
    if (this.#lease !== null) this.#lease = { ...this.#lease, until: 0 };
    this.#mistaken = true;
  }

  lease(process: SimProcess): { take(): Promise<Taken>; renew(term: number): Promise<boolean>; release(term: number): Promise<void> } {
    return {
      take: () =>
        this.#query(
          process,
          (): Taken => {
            const now = this.#now();
            if (this.#lease !== null && this.#lease.until > now) {
              return { kind: "held", by: { owner: this.#lease.owner, term: this.#term }, leftMs: this.#lease.until - now };
            }
            const before = this.#lease?.owner;
            for (const query of [...this.#queries])
              if (query.process.name === before && query.process !== process && !query.executed) query.end(ERRORS.terminated());
            this.#term += 1;
            this.#lease = { owner: process.name, until: now + LEASE_MS };
            return { kind: "taken", term: this.#term };
          },
          "something",
        ),
      renew: (term) =>
        this.#query(
          process,
          () => {
            if (this.#lease === null || term !== this.#term || this.#lease.owner !== process.name) return false;
            this.#lease = { ...this.#lease, until: this.#now() + LEASE_MS };
            return true;
          },
          "something",
        ),
      release: (term) =>
        this.#query(
          process,
          () => {
            if (term === this.#term) this.#lease = null;
          },
          "something",
        ),
    };
  }

  read(process: SimProcess, request: WorldRequest): Promise<WorldData> {
    return this.#query(process, () => this.model.read(request));
  }

  commit(process: SimProcess, term: number, group: string, document: SettlementDocument): Promise<Committed> {
    return this.#query(
      process,
      () => {
        if (term !== this.#term) {
          if (this.#mistaken) this.#onPoint("C13");
          throw ERRORS.fenced();
        }
        const base = this.model.apply(document);
        if (this.#signs)
          for (const [n, said] of document.entries.entries())
            this.entries.push(Buffer.from(`{"position":${base + n + 1},"term":${term},"base":${base}}\n${said}`));
        if (this.#receivedUntil !== null) this.#receivedUntil += Number(document.written["interruption_ms"] ?? 0);
        const committed = { base, generation: GENERATION, recordedAt: this.model.clock };
        this.#groups.set(group, committed);
        this.commits.push({ at: this.#time.now(), owner: process.name, term, first: base + 1, last: base + document.positions });
        return committed;
      },
      "commit",
      () => this.#stalls(document),
    );
  }

  /** Whether this commit is the next that is to stall. */
  #stalls({ written }: SettlementDocument): boolean {
    const which = this.troubles.stalls > 0 ? "stalls" : this.troubles.nameless > 0 && written["ids"] === undefined ? "nameless" : null;
    if (which !== null) this.troubles[which] -= 1;
    return which !== null;
  }

  /** The last position up to which everything is signed. */
  get signed(): number {
    return this.log.first - 1 + (this.checkpoints.at(-1)?.size ?? 0);
  }

  /** What a signer reads and writes. */
  signing(process: SimProcess): Pick<SignerOptions, "look" | "hand"> {
    const { first } = this.log;
    const entries = (from: number, to: number): Shown["next"] =>
      this.entries.slice(Math.max(0, from - first), to - first + 1).map((bytes, n) => ({ position: Math.max(from, first) + n, bytes }));
    return {
      look: ({ after, again }: Ask) =>
        this.#query(process, () => ({
          logs: [this.log],
          last: this.model.position,
          again: again.flatMap(([from, to]) => entries(from, to)),
          next: after === null ? [] : entries(after + 1, this.model.position),
          handed: this.checkpoints.at(-1)?.size ?? 0,
        })),
      hand: (checkpoint) =>
        this.#query(
          process,
          () => {
            if (!this.checkpoints.some(({ size }) => size === checkpoint.size)) this.checkpoints.push(checkpoint);
          },
          "something",
        ),
    };
  }

  find(process: SimProcess, group: string): Promise<Committed | null> {
    return this.#query(process, () => this.#groups.get(group) ?? null);
  }

  silentFor(process: SimProcess): Promise<number | null> {
    return this.#query(process, () => (this.#receivedUntil === null ? null : this.#now() - this.#receivedUntil));
  }

  beat(process: SimProcess): Promise<void> {
    return this.#query(
      process,
      () => {
        this.#receivedUntil = this.#now();
      },
      "something",
    );
  }

  due(process: SimProcess): Promise<readonly Tick[]> {
    return this.#query(process, () => this.model.due());
  }

  relayStore(process: SimProcess, term: number): RelayStore {
    const stored = storedForRelay(this.model, this.relay, {
      shown: () => (this.#shows === "commit" ? this.model.position : this.signed),
      atOnce: () => this.#shows === "commit",
      checkpoint: () => this.checkpoints.at(-1)?.note ?? null,
    });
    return {
      readPublishable: (after, limit, told, known) => this.#query(process, () => stored.readPublishable(after, limit, told, known)),
      readVerdicts: (after, through, told) => this.#query(process, () => stored.readVerdicts(after, through, told)),
      readCursor: () => this.#query(process, () => stored.readCursor()),
      moveCursor: (position) => this.#query(process, () => (term === this.#term ? stored.moveCursor(position) : undefined), "something"),
      readCursors: (sources) => this.#query(process, () => stored.readCursors(sources)),
      readBatchMirrors: (batches) => this.#query(process, () => stored.readBatchMirrors(batches)),
      readExpiredMirrors: () => this.#query(process, () => stored.readExpiredMirrors()),
      readCheckpoint: () => this.#query(process, () => stored.readCheckpoint()),
    };
  }
}
