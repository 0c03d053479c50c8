import type { Definition } from "../decide/world-data.ts";
import type { Definition as PartyDefinition } from "../parties/party.ts";
import type { Signing } from "../parties/signing.ts";
import type { Recipe } from "../registry/recipe.ts";
import { instant } from "./instant.ts";
import { refuse } from "./refuse.ts";
import { Ids, LastRounds, Numbers } from "./remembered.ts";
import type {
  AnswerRow,
  BatchRow,
  BindingRow,
  DeferralRow,
  EquipmentRow,
  EvidenceRow,
  ExceptionRow,
  LockRow,
  OpenDelivery,
  QuarantineRow,
  SessionRow,
  SkippedRow,
  SourceRow,
  StationRow,
  StepRow,
  StreamRow,
  WaitingRow,
} from "./rows.ts";

/** The definitions that a site's batches may be bound to, as far as they are registered by now. */
export interface Definitions {
  recipe(name: string): (Definition & { readonly recipe: Recipe }) | null;
  machine(name: string): Definition | null;
}

/** What a revision of a party says of the events that are signed. */
export type ProposedParty = Pick<PartyDefinition, "may" | "validFrom" | "validUntil" | "signing">;

/** How the site's deliveries are read. */
export interface Reading {
  readonly prefix: string;
  readonly maxBytes: number;
}

/**
 * The record of one site in memory, as far as decisions rest on it: what migration 0004 writes and what world.store.ts reads, with the constraints of 0001 and 0003 as refusals
 * (write.ts, read.ts). Deliveries are held while they are open, and of rounds the last; verdicts, facts and outcomes are only counted. What grows with the record are the
 * identities, which are remembered for good, and what is known of each batch.
 */
export class SiteRecord {
  readonly site: string;
  readonly definitions: Definitions;
  readonly reading: Reading;
  /** The database's clock, in milliseconds since 1970. */
  now: number;
  position = 0;
  readonly sources = new Map<string, SourceRow>();
  readonly sourcesByKey = new Map<string, SourceRow>();
  readonly sourcesOfEquipment = new Map<string, SourceRow[]>();
  readonly equipment = new Map<string, EquipmentRow>();
  readonly batches = new Map<string, BatchRow>();
  readonly batchesByOrder = new Map<string, string>();
  readonly stepsOfBatch = new Map<string, StepRow[]>();
  /** by batch, step and attempt */
  readonly evidenceOfStep = new Map<string, EvidenceRow[]>();
  /** by equipment and token */
  readonly locksByToken = new Map<string, LockRow>();
  readonly openLocksOf = new Map<string, LockRow[]>();
  readonly engagedRoles = new Set<string>();
  readonly awaited = new Map<string, number>();
  readonly deferrals = new Map<number, DeferralRow>();
  /** what is waited for → who waits */
  readonly waitingFor = new Map<string, Set<number>>();
  readonly deferredOf = new Map<string, { count: number; bytes: number }>();
  readonly quarantine = new Map<number, QuarantineRow>();
  readonly exceptions: ExceptionRow[] = [];
  readonly exceptionsAt = new Map<number, ExceptionRow[]>();
  readonly exceptionsOfEvent = new Map<number, ExceptionRow[]>();
  /** How many events and exceptions of a batch are open. */
  readonly openOfBatch = new Map<string, { deferrals: number; quarantine: number; exceptions: number }>();
  readonly waiting = new Map<string, WaitingRow>();
  readonly waitingOfSource = new Map<string, Set<WaitingRow>>();
  readonly waitingAt = new Map<number, WaitingRow>();
  waitingBytes = 0;
  readonly ids = new Ids();
  readonly numbers = new Numbers();
  readonly conflicts = new Map<string, number>();
  /** by source and id: the digests that are in conflict */
  readonly conflictsOfId = new Map<string, string[]>();
  readonly skippedOfSource = new Map<string, SkippedRow[]>();
  readonly deliveries = new Map<number, OpenDelivery>();
  /** by the event's first position */
  readonly lastRounds = new LastRounds();
  readonly factsOfBatch = new Map<string, number>();
  readonly outcomesOfStream = new Map<string, number>();
  readonly streams = new Map<string, StreamRow>();
  readonly answers = new Map<string, AnswerRow>();
  readonly stations = new Map<string, StationRow>();
  readonly bindingsOf = new Map<string, BindingRow[]>();
  /** by station, in order: at most the last one is open */
  readonly sessionsAt = new Map<string, SessionRow[]>();

  /** by party and revision: what was proposed */
  readonly partyRevisions = new Map<string, ProposedParty>();
  readonly revokedKeys = new Map<string, string[]>();
  /** by line and equipment: by which keys events are signed there */
  readonly signing = new Map<string, Signing>();

  constructor(site: string, definitions: Definitions, reading: Reading, now: number) {
    this.site = site;
    this.definitions = definitions;
    this.reading = reading;
    this.now = now;
  }

  /** The database's clock, RFC 3339 with microseconds. */
  get clock(): string {
    return instant(this.now);
  }
}

/** Where a commit stands: the position before its first, its time, and how a name of one of its rows becomes a position. */
export interface Commit {
  readonly base: number;
  readonly at: string;
  place(ref: number): number;
  maybe(ref: number | null | undefined): number | null;
}

/** A key that nobody has taken is taken. */
export function once<K, V>(map: Pick<Map<K, V>, "has"> & { set(key: K, value: V): unknown }, key: K, value: V, what: string): void {
  if (map.has(key)) refuse(`${what} ${String(key)} twice`);
  map.set(key, value);
}

/** A list in a map, made where there is none. */
export function listAt<K, V>(map: Map<K, V[]>, key: K): V[] {
  const known = map.get(key);
  if (known !== undefined) return known;
  const fresh: V[] = [];
  map.set(key, fresh);
  return fresh;
}

/** What is open about a batch. */
export function openAt(record: SiteRecord, batch: string): { deferrals: number; quarantine: number; exceptions: number } {
  const known = record.openOfBatch.get(batch);
  if (known !== undefined) return known;
  const fresh = { deferrals: 0, quarantine: 0, exceptions: 0 };
  record.openOfBatch.set(batch, fresh);
  return fresh;
}

export const stepKey = (batch: string, step: string, attempt: number): string => `${batch} ${step} ${attempt}`;
export const lockKey = (equipment: string, token: number): string => `${equipment} ${token}`;
