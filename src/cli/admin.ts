import { readFileSync } from "node:fs";
import {
  createPerson,
  grantRole,
  isAdministrator,
  isClaimed,
  listOwnAdministrators,
  readPerson,
  setPassword,
  setPersonActive,
} from "../access/access.store.ts";
import { hashPassword, makePassword, passwordFault } from "../access/password.ts";
import { isPrintedName } from "../access/principal.ts";
import type { Attribution } from "../audit/act.store.ts";
import type { Db } from "../db/database.ts";
import { loadConfig } from "../ops/config.file.ts";
import type { Call, Command } from "./command.ts";
import { withOwner } from "./own-database.ts";
import { withOwnerAlone } from "./owner-alone.ts";
import { BY, byOf, OWNER_NOTE } from "./retention.ts";
import { Said } from "./said.ts";

const PERSON = /^[a-z0-9][a-z0-9._-]{0,63}$/;

const PASSWORD = {
  "password-file": {
    type: "string",
    value: "FILE",
    help: "Takes the password from a file. Default: makes one, prints it once, and it is changed at the first sign-in.",
  },
} as const;

export const adminCreate: Command = {
  name: "admin create",
  summary: "Make the first administrator. From then on everybody is asked who they are.",
  positionals: ["PERSON"],
  options: {
    name: { type: "string", value: "NAME", help: "The person's name, as it is printed. Default: PERSON." },
    ...PASSWORD,
    ...BY,
  },
  notes: [
    "Done on the host, once: where there is an administrator, further ones are made over REST by them.",
    "An administrator makes people and machines known and gives them roles, and does nothing to product.",
    OWNER_NOTE,
  ],
  examples: ['signalbox admin create ann --name "Ann Jansen" --reason "first start"'],
  exits: { done: "The administrator is there.", found: "There is one already." },
  async run(call, terminal) {
    const [person, by, given] = [personOf(call), byOf(call, "admin create"), passwordOf(call)];
    const name = nameOf(call) ?? person;
    const hashed = await hashPassword(given.password);
    await withOwner(loadConfig(withOwnerAlone(call.environment)), async (db) => {
      if (await isClaimed(db)) throw new Said("There is an administrator already. Where none can sign in any more: signalbox admin recover.", 1);
      await makeAdministrator(db, { person, name, password: hashed, temporary: given.temporary }, by);
    });
    told(call, terminal.out, person, given);
    return 0;
  },
};

export const adminRecover: Command = {
  name: "admin recover",
  summary: "Let an administrator in again who lost their password, or whom nobody else can let in.",
  positionals: ["PERSON"],
  options: {
    name: {
      type: "string",
      value: "NAME",
      help: "Makes PERSON known under this name, as it is printed, and an administrator: where none signs in with a password.",
    },
    ...PASSWORD,
    ...BY,
  },
  notes: [
    "Done on the host, by whoever has the database owner's password. It is on record in the audit log of every site, with who did it and why.",
    "The person gets a new password and is active again. Who was no administrator becomes none by it.",
    "Whoever signs in at an identity provider has no password here. Where that provider is gone and no other administrator can sign in, --name makes a new one, who signs in with a password.",
    OWNER_NOTE,
  ],
  examples: [
    'signalbox admin recover ann --reason "left without handing over; approved by QA, deviation 4711"',
    'signalbox admin recover ben --name "Ben Smit" --reason "the identity provider is gone, deviation 4712"',
  ],
  exits: { done: "The administrator can sign in.", found: "There is no such administrator who signs in with a password, or one is there already who does." },
  async run(call, terminal) {
    const [person, by, name, given] = [personOf(call), byOf(call, "admin recover"), nameOf(call), passwordOf(call)];
    const hashed = await hashPassword(given.password);
    await withOwner(loadConfig(withOwnerAlone(call.environment)), async (db) => {
      const known = await readPerson(db, person);
      if (known === null) {
        await mayBeMade(db, person, name);
        await makeAdministrator(db, { person, name: name ?? person, password: hashed, temporary: given.temporary }, by);
        return;
      }
      if (!(await isAdministrator(db, person))) throw new Said(`${person} is no administrator.`, 1);
      if (known.issuer !== "local")
        throw new Said(
          `${person} signs in at ${known.issuer}, and has no password here. Where no administrator can sign in, a new one is made: signalbox admin recover PERSON --name NAME.`,
          1,
        );
      if (name !== null) throw new Said(`${person} is known already: --name is for who is not.`, 2);
      await db.transaction().execute(async (trx) => {
        await setPersonActive(trx, person, true, by);
        await setPassword(trx, person, hashed, given.temporary, by);
      });
    });
    told(call, terminal.out, person, given);
    return 0;
  },
};

/** A new administrator is made on the host only where none is left whom a new password lets in, and only under a name, so that nobody comes of a slip of the pen. */
async function mayBeMade(db: Db, person: string, name: string | null): Promise<void> {
  if (!(await isClaimed(db))) throw new Said("There is no administrator yet: signalbox admin create.", 1);
  const own = await listOwnAdministrators(db);
  if (own.length > 0) throw new Said(`There is no person ${person}. A new password lets in ${own.join(", ")}.`, 1);
  if (name === null) throw new Said(`There is no person ${person}. No administrator signs in with a password: --name NAME makes ${person} one who does.`, 1);
}

async function makeAdministrator(
  db: Db,
  made: { readonly person: string; readonly name: string; readonly password: string; readonly temporary: boolean },
  by: Attribution,
): Promise<void> {
  await db.transaction().execute(async (trx) => {
    await createPerson(trx, { ...made, issuer: "local", subject: made.person }, by);
    await grantRole(trx, { kind: "person", id: made.person }, "admin", null, by);
  });
}

interface Given {
  readonly password: string;
  readonly temporary: boolean;
}

function personOf(call: Call): string {
  const person = call.positionals[0] ?? "";
  if (!PERSON.test(person)) throw new Said("PERSON is small letters, digits and . _ -, at most 64.", 2);
  return person;
}

function nameOf(call: Call): string | null {
  const name = call.text("name")?.trim() || null;
  if (name !== null && !isPrintedName(name)) throw new Said("NAME is one line of at most 128 characters, without any that do not show.", 2);
  return name;
}

function passwordOf(call: Call): Given {
  const file = call.text("password-file");
  if (file === undefined) return { password: makePassword(), temporary: true };
  let password: string;
  try {
    password = readFileSync(file, "utf8").replace(/\r?\n$/, "");
  } catch {
    throw new Said(`${file} cannot be read.`, 2);
  }
  const fault = passwordFault(password, call.positionals[0] ?? "", call.text("name") ?? "");
  if (fault !== null) throw new Said(`The password in ${file} ${fault}.`, 2);
  return { password, temporary: false };
}

function told(call: Call, out: (line: string) => void, person: string, { password, temporary }: Given): void {
  if (call.flag("json")) {
    out(JSON.stringify({ person, temporaryPassword: temporary ? password : null }));
    return;
  }
  out(`${person} administers this system. Everybody is asked who they are from now on.`);
  if (temporary) out(`Password, for the first sign-in, where it is to be changed: ${password}`);
}
