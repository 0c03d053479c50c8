import type { Log } from "../audit/signer.ts";
import type { Table } from "./standing.ts";
import type { Columns, Told } from "./told-rows.ts";

// What verification asks of a record, wherever it lies; all of it of one moment.

export interface LogRow extends Log {
  readonly generation: number;
  readonly why: string;
}

export interface CheckpointRow {
  readonly size: number;
  readonly root: Buffer;
  readonly note: string;
}

export interface TileRow {
  readonly level: number;
  readonly n: number;
  readonly hashes: Buffer;
}

export interface EntryRow {
  readonly position: number;
  readonly bytes: Buffer;
}

export interface RowAt {
  readonly position: number;
  readonly row: Columns;
}

export interface Restore {
  readonly generation: number;
  readonly previous: number;
  readonly position: number;
}

/** A published revision as the database holds it. */
export interface DefinitionRow {
  readonly table: "recipes" | "state_machines";
  readonly name: string;
  readonly revision: number;
  /** In hexadecimal. */
  readonly hash: string;
  readonly content: unknown;
  /** By the database's clock. */
  readonly registered: string;
  /** Null: nobody in particular, or the service itself; then nobody need approve it. */
  readonly proposedBy: string | null;
}

/** An approval of one. */
export interface DefinitionApprovalRow {
  readonly table: "recipe_approvals" | "state_machine_approvals";
  readonly name: string;
  readonly revision: number;
  readonly proposedBy: string;
  readonly approvedBy: string;
  readonly signature: unknown;
  readonly approved: string;
}

/** Leaf hashes of an ended log's last tile, which is not full. */
export interface EndLeavesRow {
  readonly log: number;
  readonly firstIndex: number;
  readonly hashes: Buffer;
}

/** What the database says was disposed of; believed in nothing before entries and checkpoints say it too. */
export interface SaidDisposed {
  /** Up to which position; 0: nothing. */
  readonly positions: number;
  /** The months in which batches were opened whose facts and outcomes are gone: `2026_01`. */
  readonly batches: readonly string[];
  /** Tables that have rows at those positions all the same, with the first of them. */
  readonly returned: readonly { readonly table: string; readonly position: number }[];
}

export interface SiteRecord {
  readonly site: string;
  /** The site's head: its last position, and the generation. */
  readonly head: { readonly position: number; readonly generation: number };
  /** When it was read, by the database's clock. */
  readonly now: string;
  /** In order. */
  readonly logs: readonly LogRow[];
  readonly restores: readonly Restore[];
  readonly disposed: SaidDisposed;
  /** In order of positions; from behind what is disposed of, or, where its archives were handed over, from the first. */
  entries(): AsyncIterable<EntryRow>;
  /** Leaf hashes that are kept of a log's positions from the one to the other; they end where one is not there. */
  leaves(log: LogRow, from: number, to: number): AsyncIterable<Buffer>;
  /** In order. */
  readonly ends: readonly EndLeavesRow[];
  /** In order of positions, from the first log's first one on. */
  rows(told: Told): AsyncIterable<RowAt>;
  /** In order of positions, from the first log's first one on. */
  commits(): AsyncIterable<Columns>;
  /** As they stand, in order of their keys. */
  standing(table: Table): AsyncIterable<Columns>;
  /** Of every site. */
  definitions(): Promise<{ readonly definitions: readonly DefinitionRow[]; readonly approvals: readonly DefinitionApprovalRow[] }>;
  /** In order of sizes. */
  checkpoints(log: number): AsyncIterable<CheckpointRow>;
  /** In the order in which they are filled. */
  tiles(log: number): AsyncIterable<TileRow>;
}
