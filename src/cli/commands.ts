import type { Command } from "./command.ts";

/** Every command by its name, in the order of the help. Each is loaded when it is wanted: all of them together take longer to load than most take to run. */
export const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import("./serve.ts")).serve,
  migrate: async () => (await import("./migrate.ts")).migrate,
  restored: async () => (await import("./restored.ts")).restored,
  "rotate-key": async () => (await import("./rotate-key.ts")).rotateKey,
  "admin create": async () => (await import("./admin.ts")).adminCreate,
  "admin recover": async () => (await import("./admin.ts")).adminRecover,
  "registry apply": async () => (await import("./registry-apply.ts")).registryApply,
  "state-machine check": async () => (await import("./state-machine-check.ts")).stateMachineCheck,
  device: async () => (await import("./device.ts")).device,
  tail: async () => (await import("./tail.ts")).tail,
  why: async () => (await import("./why.ts")).why,
  verify: async () => (await import("./verify.ts")).verify,
  export: async () => (await import("./export.ts")).exportBundle,
  "retention list": async () => (await import("./retention-list.ts")).retentionList,
  "retention keep": async () => (await import("./retention-hold.ts")).retentionKeep,
  "retention hold": async () => (await import("./retention-hold.ts")).retentionHold,
  "retention release": async () => (await import("./retention-hold.ts")).retentionRelease,
  "retention archive": async () => (await import("./retention-archive.ts")).retentionArchive,
  "retention dispose": async () => (await import("./retention-dispose.ts")).retentionDispose,
  "parties list": async () => (await import("./parties.ts")).partiesList,
  "parties acl": async () => (await import("./parties.ts")).partiesAcl,
  "parties passwords": async () => (await import("./parties.ts")).partiesPasswords,
  "parties drift": async () => (await import("./parties.ts")).partiesDrift,
  "parties add-key": async () => (await import("./parties-keys.ts")).partiesAddKey,
  "parties revoke-key": async () => (await import("./parties-keys.ts")).partiesRevokeKey,
  replay: async () => (await import("./replay.ts")).replay,
  doctor: async () => (await import("./doctor.ts")).doctor,
  demo: async () => (await import("./demo.ts")).demo,
};

/** The commands that what was typed may mean: the one that it names; where it names none, all of them. */
export async function loadFor([first, second]: readonly string[]): Promise<readonly Command[]> {
  if (first === "--version") return [];
  const named = Object.keys(COMMANDS).filter((name) => name === first || name === `${first} ${second}`);
  const wanted = named.length > 0 ? named : Object.keys(COMMANDS);
  return Promise.all(wanted.flatMap((name) => COMMANDS[name]?.() ?? []));
}
