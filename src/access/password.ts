import { randomBytes } from "node:crypto";
import { hash, verify } from "@node-rs/argon2";

// argon2id as OWASP's password storage cheat sheet has it: 19 MiB, two passes, one lane.
const COST = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;
export const SHORTEST = 12;
export const LONGEST = 128;

export const hashPassword = (password: string): Promise<string> => hash(normal(password), COST);

/** Takes as long for somebody who has no password as for somebody who has another. */
export async function passwordFits(stored: string | null, password: string): Promise<boolean> {
  const fits = await verify(stored ?? (await nobodys()), normal(password));
  return fits && stored !== null;
}

/** Why a password is none, in words; null: it is one. */
export function passwordFault(password: string, person: string, name: string): string | null {
  const text = normal(password);
  if ([...text].length < SHORTEST) return `has fewer than ${SHORTEST} characters`;
  if (Buffer.byteLength(text) > LONGEST) return `has more than ${LONGEST} bytes`;
  if (new Set(text).size < 5) return "has fewer than five different characters";
  const small = text.toLowerCase();
  return [person, name].some((own) => own.length > 2 && small.includes(own.toLowerCase())) ? "holds the person's own name" : null;
}

/** One that somebody is told once, and changes when they first sign in: 120 bits. */
export const makePassword = (): string => randomBytes(15).toString("base64url");

const normal = (password: string): string => password.normalize("NFKC");

let made: Promise<string> | null = null;
const nobodys = (): Promise<string> => {
  made ??= hashPassword(makePassword());
  return made;
};
