// Stands between broker and service: no acknowledgement passes before an independent reader has looked whether the verdict is there.
import pg from "pg";
import type { Acknowledged } from "../history/history.ts";
import type { Acknowledging } from "./mqtt-sieve.ts";

export interface DurabilityWatch {
  readonly acknowledging: Acknowledging;
  readonly acknowledged: readonly Acknowledged[];
  close(): Promise<void>;
}

export function watchDurability(databaseUrl: string): DurabilityWatch {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 4, connectionTimeoutMillis: 2_000, query_timeout: 5_000 });
  pool.on("error", () => {});
  const acknowledged: Acknowledged[] = [];
  let closing = false;

  async function decided(sources: readonly string[], ids: readonly string[]): Promise<ReadonlySet<string> | null> {
    while (!closing) {
      try {
        const { rows } = await pool.query<{ key: string }>(
          "select distinct source || ' ' || event_id as key from verdicts where source = any($1) and event_id = any($2)",
          [sources, ids],
        );
        return new Set(rows.map(({ key }) => key));
      } catch {
        // the database is away: the acknowledgement waits, since whether it is durable cannot be known now
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
    return null;
  }

  return {
    acknowledged,
    async acknowledging(_clientId, deliveries) {
      const events = deliveries.flatMap(({ payload }) => identityOf(payload) ?? []);
      if (events.length === 0) return;
      const at = performance.now();
      const found = await decided(
        events.map(({ source }) => source),
        events.map(({ id }) => id),
      );
      if (found !== null) for (const { source, id } of events) acknowledged.push({ at, source, id, durable: found.has(`${source} ${id}`) });
    },
    async close() {
      closing = true;
      await pool.end();
    },
  };
}

function identityOf(payload: Buffer): { readonly source: string; readonly id: string } | null {
  const event: unknown = JSON.parse(payload.toString("utf8"));
  if (typeof event !== "object" || event === null || !("source" in event) || !("id" in event)) return null;
  return { source: String(event.source), id: String(event.id) };
}
