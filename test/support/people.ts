import { addKey, createMachine, createPerson, grantRole } from "../../src/access/access.store.ts";
import { hashPassword } from "../../src/access/password.ts";
import type { MachineRole, PersonRole } from "../../src/access/role.ts";
import { hashToken, makeApiKey } from "../../src/access/token.ts";
import { openDatabase } from "../../src/db/database.ts";
import type { Plant } from "./plant.ts";

// People and machines of a plant, each with what they may, and how they say who they are.

export const PASSWORD = "correct horse battery";
let hashed: Promise<string> | null = null;

/** The key under which a plant's tokens are hashed: for machines whose keys a test makes itself. */
export const ACCESS_SECRET = "a key for tests that is long enough";
export const WITH_SECRET = { ACCESS_SECRET } as const;

export interface Held<R> {
  readonly role: R;
  /** null: every site. */
  readonly site: string | null;
  /** Of a feed: which kind of status it brings. */
  readonly kind?: string;
}

const BY = { actor: "signalbox", from: null, reason: "test" };

/** Makes a person known, who may sign in with PASSWORD. */
export async function person(plant: Pick<Plant, "database">, id: string, ...grants: readonly Held<PersonRole>[]): Promise<void> {
  hashed ??= hashPassword(PASSWORD);
  const password = await hashed;
  await changing(plant, async (db) => {
    await createPerson(db, { person: id, name: `Person ${id}`, issuer: "local", subject: id, password, temporary: false }, BY);
    for (const { role, site } of grants) await grantRole(db, { kind: "person", id }, role, site, BY);
  });
}

/** Makes a machine known, and gives its API key. */
export async function machine(plant: Pick<Plant, "database">, id: string, owner: string, ...grants: readonly Held<MachineRole>[]): Promise<string> {
  const key = makeApiKey();
  await changing(plant, async (db) => {
    await createMachine(db, { machine: id, owner, purpose: "test" }, BY);
    for (const { role, site, kind = null } of grants) await grantRole(db, { kind: "machine", id }, role, site, BY, kind);
    await addKey(db, id, { id: key.id, hash: hashToken(Buffer.from(ACCESS_SECRET), key.text), days: 1 }, BY);
  });
  return key.text;
}

/** Signs a person in; gives their token. */
export async function signIn(plant: Pick<Plant, "ask">, id: string): Promise<string> {
  const { status, body } = await plant.ask("POST", "/v1/sign-ins", { person: id, password: PASSWORD });
  if (status !== 201) throw new Error(`${id} was not let in: ${JSON.stringify(body)}`);
  return String(Object(body).token);
}

export const bearing = (token: string): Readonly<Record<string, string>> => ({ authorization: `Bearer ${token}` });

async function changing(plant: Pick<Plant, "database">, work: (db: Parameters<typeof createPerson>[0]) => Promise<void>): Promise<void> {
  const { db, close } = openDatabase(plant.database.runtimeUrl, { max: 1, applicationName: "test" });
  try {
    await db.transaction().execute(work);
  } finally {
    await close();
  }
}
