import type { Environment } from "./command.ts";

/** For commands that never connect as the runtime role: the owner's address alone is enough there. */
export function withOwnerAlone(environment: Environment): Environment {
  const alone = [environment["DATABASE_URL"], environment["DATABASE_URL_FILE"]].every((value) => value === undefined || value === "");
  return alone ? { ...environment, DATABASE_URL: environment["DATABASE_OWNER_URL"], DATABASE_URL_FILE: environment["DATABASE_OWNER_URL_FILE"] } : environment;
}
