import { countWrongPassword, readPassword } from "../access/access.store.ts";
import { hashPassword, passwordFits } from "../access/password.ts";
import type { Db } from "../db/database.ts";
import { atMost } from "./at-most.ts";

/** Tries and hashes passwords, two at once: each takes 19 MiB and 30 ms. */
export function passwordsOf(db: Db) {
  const inTurn = atMost(2);
  return {
    /** A wrong one is counted before another is tried in its place, so that many at once are no more tries. Null: it is not theirs, or they are locked out, which nobody is told apart. */
    tried: (person: string, password: string, from: string) =>
      inTurn(async () => {
        const kept = await readPassword(db, person);
        const fits = await passwordFits(kept?.password ?? null, password);
        if (kept !== null && !fits && !kept.locked) await countWrongPassword(db, person, from);
        return kept === null || !fits || kept.locked ? null : kept;
      }),
    hashed: (password: string) => inTurn(() => hashPassword(password)),
  };
}
