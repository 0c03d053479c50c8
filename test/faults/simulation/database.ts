import type { Committed } from "../../../src/commit/commit.store.ts";
import type { Holder, Taken } from "../../../src/commit/lease.store.ts";
import type { SettlementDocument } from "../../../src/commit/settlement.ts";
import type { Tick } from "../../../src/decide/signal.ts";
import type { WorldData } from "../../../src/decide/world-data.ts";
import type { WorldRequest } from "../../../src/decide/world-request.ts";
import type { Time } from "../../../src/ops/time.ts";
import type { RelayStore } from "../../../src/publish/relay.store.ts";
import { type Model, Moved } from "../../support/model.ts";
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
  /** The next so many commits lie at the server, beyond the time for which the caller waits, and are made after that. */
  stalls: number;
}

export interface CommitSeen {
  readonly at: number;
  readonly owner: string;
  readonly term: number;
  readonly first: number;
  readonly last: number;
}

interface Query {
  readonly process: SimProcess;
  executed: boolean;
  over: boolean;
  fail(error: Error): void;
}

const ANSWER_MS = 30_000;
const LEASE_MS = 3_000;

/**
 * Postgres as the service meets it: each statement is one moment, made whole or not at all, some time after it was sent; its reply comes some time after that, or never. What a
 * settlement does is the model's (test/support/model.ts), which is held against the real function by test/upgrade.
 */
export class SimDatabase {
  readonly model: Model;
  readonly troubles: Troubles = { down: false, diskFull: false, locked: false, replies: 0, slow: 0, stalls: 0 };
  readonly commits: CommitSeen[] = [];
  readonly relay = { position: 0 };
  readonly #time: Time;
  readonly #latency: () => number;
  readonly #onPoint: (point: "C13" | "C17" | "C18") => void;
  readonly #queries = new Set<Query>();
  readonly #groups = new Map<string, Committed>();
  #term = 0;
  #lease: { owner: string; until: number } | null = null;
  #receivedUntil: number | null = null;
  /** Whether the lease was ever given away under its owner. */
  #mistaken = false;

  constructor(time: Time, model: Model, options: { readonly latency: () => number; onPoint(point: "C13" | "C17" | "C18"): void }) {
    this.#time = time;
    this.model = model;
    this.#latency = options.latency;
    this.#onPoint = options.onPoint;
  }

  /** RFC 3339, as a process knows it that has carried the last answer on. */
  get clock(): string {
    this.model.now = this.#time.now();
    return this.model.clock;
  }

  get holder(): Holder | null {
    return this.#lease === null ? null : { owner: this.#lease.owner, term: this.#term };
  }

  /** One statement. `make` runs at the server, at one moment. */
  #query<T>(process: SimProcess, make: () => T, writes: { readonly commits: boolean } | null = null): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const query: Query = {
        process,
        executed: false,
        over: false,
        fail: (error) => {
          if (query.over) return;
          query.over = true;
          this.#queries.delete(query);
          this.#time.after(this.#latency(), () => process.enter(() => reject(error)));
        },
      };
      const send = (): void => {
        if (this.troubles.down) {
          query.fail(ERRORS.refused());
          return;
        }
        this.#queries.add(query);
        const commits = writes?.commits === true;
        const stalls = commits && this.troubles.stalls > 0;
        if (stalls) {
          this.troubles.stalls -= 1;
          this.#time.after(ANSWER_MS, () => {
            if (query.over) return;
            query.over = true;
            process.enter(() => reject(ERRORS.late()));
          });
        }
        this.#time.after(this.#latency() + (stalls ? ANSWER_MS + 200 : 0), () => {
          if (!this.#queries.has(query)) return;
          if (writes !== null && (this.troubles.locked || this.troubles.diskFull)) {
            if (commits) this.#onPoint(this.troubles.locked ? "C18" : "C17");
            return query.fail(this.troubles.locked ? ERRORS.lockTimeout() : ERRORS.diskFull());
          }
          let answer: T;
          this.model.now = this.#time.now();
          try {
            answer = make();
          } catch (error) {
            this.#queries.delete(query);
            return query.fail(error instanceof Moved ? ERRORS.moved(error.message) : error instanceof Error ? error : new Error(String(error)));
          }
          query.executed = true;
          if (commits && this.troubles.replies > 0) {
            this.troubles.replies -= 1;
            return query.fail(ERRORS.lost());
          }
          this.#time.after(this.#latency(), () => {
            if (query.over) return;
            query.over = true;
            this.#queries.delete(query);
            process.enter(() => resolve(answer));
          });
        });
      };
      process.enter(send);
    });
  }

  /** Ends every statement of a process, or of all: what was made stays, what was not made is not made; both callers hear the same. */
  terminate(owner: SimProcess | null, error: () => Error): void {
    for (const query of [...this.#queries]) if (owner === null || query.process === owner) query.fail(error());
  }

  /** A process died with statements on their way: by half a chance they had not left it. */
  perhaps(process: SimProcess): void {
    if (this.#time.chance() < 0.5) for (const query of [...this.#queries]) if (query.process === process && !query.executed) query.fail(ERRORS.lost());
  }

  /** `pg_ctl stop -m immediate`; whether anything was under way. */
  crash(): boolean {
    const under = this.#queries.size > 0;
    this.troubles.down = true;
    this.terminate(null, ERRORS.lost);
    return under;
  }

  start(): void {
    this.troubles.down = false;
  }

  heal(): void {
    Object.assign(this.troubles, { down: false, diskFull: false, locked: false, replies: 0, slow: 0, stalls: 0 });
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
            const now = this.#time.now();
            if (this.#lease !== null && this.#lease.until > now) {
              return { kind: "held", by: { owner: this.#lease.owner, term: this.#term }, leftMs: this.#lease.until - now };
            }
            const before = this.#lease?.owner;
            for (const query of [...this.#queries])
              if (query.process.name === before && query.process !== process && !query.executed) query.fail(ERRORS.terminated());
            this.#term += 1;
            this.#lease = { owner: process.name, until: now + LEASE_MS };
            return { kind: "taken", term: this.#term };
          },
          { commits: false },
        ),
      renew: (term) =>
        this.#query(
          process,
          () => {
            if (this.#lease === null || term !== this.#term || this.#lease.owner !== process.name) return false;
            this.#lease = { ...this.#lease, until: this.#time.now() + LEASE_MS };
            return true;
          },
          { commits: false },
        ),
      release: (term) =>
        this.#query(
          process,
          () => {
            if (term === this.#term) this.#lease = null;
          },
          { commits: false },
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
        const committed = { base, generation: GENERATION, recordedAt: this.model.clock };
        this.#groups.set(group, committed);
        this.commits.push({ at: this.#time.now(), owner: process.name, term, first: base + 1, last: base + document.positions });
        return committed;
      },
      { commits: true },
    );
  }

  find(process: SimProcess, group: string): Promise<Committed | null> {
    return this.#query(process, () => this.#groups.get(group) ?? null);
  }

  silentFor(process: SimProcess): Promise<number | null> {
    return this.#query(process, () => (this.#receivedUntil === null ? null : this.#time.now() - this.#receivedUntil));
  }

  beat(process: SimProcess): Promise<void> {
    return this.#query(
      process,
      () => {
        this.#receivedUntil = this.#time.now();
      },
      { commits: false },
    );
  }

  due(process: SimProcess): Promise<readonly Tick[]> {
    return this.#query(process, () => this.model.due());
  }

  relayStore(process: SimProcess, term: number): RelayStore {
    const stored = storedForRelay(this.model, this.relay);
    return {
      readPublishable: (after, limit) => this.#query(process, () => stored.readPublishable(after, limit)),
      readCursor: () => this.#query(process, () => stored.readCursor()),
      moveCursor: (position) => this.#query(process, () => (term === this.#term ? stored.moveCursor(position) : undefined), { commits: false }),
      readCursors: (sources) => this.#query(process, () => stored.readCursors(sources)),
      readBatchMirrors: (batches) => this.#query(process, () => stored.readBatchMirrors(batches)),
      readExpiredMirrors: () => this.#query(process, () => stored.readExpiredMirrors()),
    };
  }
}
