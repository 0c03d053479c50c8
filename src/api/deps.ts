import type { Db } from "../db/database.ts";
import type { Definitions } from "../decide/definitions.store.ts";
import type { Machines } from "../decide/machines.ts";
import type { Log } from "../ops/log.ts";
import type { Shard } from "../shard.ts";
import type { RecordsAccess } from "./access.http.ts";
import type { AccessDeps, AsksAgain } from "./guard.http.ts";

/** What the interface is given by whoever starts it. */
export interface ApiDeps {
  /** Read for whoever asks: it shows what is of their sites, and takes no change. */
  readonly db: Db;
  /** The service's own, for what is put on record; what is asked for was allowed before. */
  readonly own: Db;
  readonly access: AccessDeps;
  readonly log: Log;
  readonly machines: Machines;
  readonly definitions: Definitions;
  readonly prefix: string;
  readonly version: string;
  readonly maxBytes: number;
  /** Whom to ask about a site; of a replica that stands by, the answer is `StandingBy`. */
  shard(site: string): Pick<Shard, "command" | "dryRun"> | undefined;
  /** A site was registered: its shard is started. */
  siteRegistered(site: string): Promise<void>;
  health(): Promise<{ readonly ready: boolean; readonly checks: readonly { readonly check: string; readonly ok: boolean; readonly detail: string }[] }>;
  metrics(): Promise<string>;
  /** Calls the listener after each commit; returns how to stop that. */
  onCommitted(listener: () => void): () => void;
}

/** What routes are given. */
export interface RouteDeps extends ApiDeps {
  readonly recordAccess: RecordsAccess;
  readonly askAgain: AsksAgain;
}
