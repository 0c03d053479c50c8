import { z } from "zod";
import { fits, type Held, verifierOf, verifiersByUser } from "./credentials.ts";
import { type Direction, type Party, SERVICE_RIGHTS } from "./party.ts";
import { filtersOf, matches, overlap, rightsByUser } from "./topics.ts";

// The registry as the embedded broker enforces it: who may connect, and what each may do.

const filters = z.array(z.string());
const userSchema = z.object({ user: z.string(), verifier: z.string().nullable(), publish: filters, subscribe: filters });
export const tableSchema = z.object({
  /** The service's own user; nobody else may have its name. */
  service: userSchema,
  /** null: no party was ever active, and whoever comes may do everything. */
  users: z.array(userSchema).nullable(),
});
export type BrokerTable = z.infer<typeof tableSchema>;
export type TableUser = z.infer<typeof userSchema>;

/** The service's own name at its embedded broker. No party can have it (conflict RESERVED_NAME). */
export const SERVICE_USER = "signalbox-service";

export function serviceUser(password: string, salt: Buffer, prefix: string): TableUser {
  // of every site that there is or will be
  const may = (direction: Direction): string[] =>
    SERVICE_RIGHTS.flatMap((right) => (right.direction === direction ? filtersOf(prefix, "+", right) : [])).sort();
  // the embedded broker tells of itself on topics of another form
  return { user: SERVICE_USER, verifier: verifierOf(password, salt), publish: may("publish"), subscribe: [...may("subscribe"), "$SYS/#"] };
}

/** `governed`: whether any party ever was active. From then on nobody is let in without a name, whoever was revoked or has expired since. */
export function tableUsers(governed: boolean, parties: readonly (Party & Held)[], prefix: string): TableUser[] | null {
  if (!governed) return null;
  const verifiers = verifiersByUser(parties);
  return [...rightsByUser(parties, prefix)].map(([user, { publish, subscribe }]) => ({
    user,
    verifier: verifiers.get(user) ?? null,
    publish: [...publish],
    subscribe: [...subscribe],
  }));
}

/** Answers for the embedded broker. A user is null where nobody was asked who they are. */
export class Gate {
  #users: ReadonlyMap<string, TableUser> | null;
  readonly #service: TableUser;

  constructor({ service, users }: BrokerTable) {
    this.#service = service;
    this.#users = usersByName(users);
  }

  /** From now on another table holds. */
  change(users: BrokerTable["users"]): void {
    this.#users = usersByName(users);
  }

  /** As whom somebody may connect; false: not at all. */
  enter(user: string | undefined, password: Uint8Array | undefined): string | null | false {
    const known = user === SERVICE_USER ? this.#service : this.#users?.get(user ?? "");
    if (known !== undefined && known.verifier !== null && password !== undefined && fits(known.verifier, password)) return known.user;
    // nobody passes for the service, not even while everything is open
    return this.#users === null && user !== SERVICE_USER ? null : false;
  }

  /** Whether who has entered may stay: whoever is not in the table any more, or has another credential since, may not. */
  mayStay(user: string | null, verifier: string | null): boolean {
    if (user === SERVICE_USER || this.#users === null) return true;
    return user !== null && this.#users.get(user)?.verifier === verifier;
  }

  verifierOf(user: string | null): string | null {
    return user === null ? null : (this.#users?.get(user)?.verifier ?? null);
  }

  may(user: string | null, direction: Direction, topic: string): boolean {
    if (this.#users === null) return true;
    return this.#rightsOf(user)?.[direction].some((filter) => matches(filter, topic)) ?? false;
  }

  /** Whether anything that a filter means may be given to a user; what is given is asked for each message again. */
  maySubscribe(user: string | null, filter: string): boolean {
    if (this.#users === null) return true;
    return this.#rightsOf(user)?.subscribe.some((own) => overlap(own, filter)) ?? false;
  }

  #rightsOf(user: string | null): TableUser | undefined {
    return user === null ? undefined : user === SERVICE_USER ? this.#service : this.#users?.get(user);
  }
}

const usersByName = (users: readonly TableUser[] | null): ReadonlyMap<string, TableUser> | null =>
  users === null ? null : new Map(users.map((one) => [one.user, one]));
