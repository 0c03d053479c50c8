import { type Standing, type StandingName, standing } from "./standing.ts";
import type { Columns } from "./told-rows.ts";

/** An act about parties, as its entry tells of it. */
interface ToldAct {
  readonly site: string;
  readonly position: number;
  readonly by: unknown;
  readonly reason: unknown;
  readonly made: Readonly<Record<string, unknown>>;
}

/** By which act each table of the registry of parties gets a row, and what stands in it. */
const ROWS = {
  "party.proposed": {
    table: "party_revisions",
    row: ({ position, by, made }) => ({ party: made["party"], revision: made["revision"], position, content: made["content"], proposed_by: by }),
  },
  "party.approved": {
    table: "party_approvals",
    row: ({ position, by, made }) => ({ party: made["party"], revision: made["revision"], position, proposed_by: made["proposedBy"], approved_by: by }),
  },
  "party.activated": {
    table: "party_activations",
    row: ({ position, by, made }) => ({ party: made["party"], revision: made["revision"], position, activated_by: by }),
  },
  "party.revoked": { table: "party_revocations", row: ({ position, by, reason, made }) => ({ party: made["party"], position, reason, revoked_by: by }) },
  "party.key.revoked": {
    table: "party_key_revocations",
    row: ({ position, by, reason, made }) => ({ party: made["party"], kid: made["kid"], position, reason, revoked_by: by }),
  },
  "party.credential.issued": {
    table: "party_credentials",
    row: ({ position, by, made }) => ({ party: made["party"], position, verifier: made["verifierSha256"], issued_by: by }),
  },
  "parties.reviewed": {
    table: "party_reviews",
    row: ({ position, by, made: { digest, parties, conflicts, finding } }) => ({ review: position, digest, parties, conflicts, finding, reviewed_by: by }),
  },
} as const satisfies Readonly<Record<string, { readonly table: StandingName; row(act: ToldAct): Columns }>>;

/** The registry of parties as the acts in the log bring it about. */
export class PartiesByActs {
  private readonly rows = new Map<StandingName, Columns[]>(Object.values(ROWS).map(({ table }) => [table, []]));

  next(type: keyof typeof ROWS, act: ToldAct): void {
    const { table, row } = ROWS[type];
    this.rows.get(table)?.push({ site: act.site, ...row(act) });
  }

  /** `behind`: of rows that come of acts which are not there nothing can be told. */
  standing(behind: (column: string) => (row: Columns) => boolean): readonly Standing[] {
    return [...this.rows].map(([table, rows]) => standing(table, rows, behind(table === "party_reviews" ? "review" : "position")));
  }
}
