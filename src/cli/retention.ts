// What the commands of retention have in common: who acts and why, on which partition, with which keys.
import { existsSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import type { Attribution } from "../audit/act.store.ts";
import { verifierKeyPath } from "../audit/signer-key.file.ts";
import type { Config } from "../ops/config.file.ts";
import { type PartName, partOf, partText, type SitePart } from "../retention/part.ts";
import { RetentionRefused } from "../retention/parts.store.ts";
import type { Given } from "../verify/trust.ts";
import { keysOf } from "./check-bundle.ts";
import type { Call, Command, Described } from "./command.ts";
import { Said } from "./said.ts";

export const BY: Readonly<Record<string, Described>> = {
  reason: { type: "string", help: "Why; it stays on record." },
  by: { type: "string", value: "NAME", help: "Who does it. Default: the account that runs this." },
};

export const PART: Described = { type: "string", value: "CLASS/PART", help: "Which partition, as `signalbox retention list` names it: positions/p0." };

export const KEY: Described = {
  type: "string",
  value: "FILE",
  help: "The signers' public keys, one a line. Default: signer.vkey of each site in AUDIT_DIR.",
};

export const OWNER_NOTE = "Connects with DATABASE_OWNER_URL; without DATABASE_URL, to the embedded database in DATA_DIR.";

export function byOf(call: Call, command: string): Attribution & { readonly reason: string } {
  const reason = call.text("reason")?.trim() ?? "";
  if (reason === "") throw new Said("Say why: --reason TEXT.", 2);
  return { actor: call.text("by")?.trim() || userInfo().username, from: `signalbox ${command}`, reason };
}

export function siteOf(call: Call): string {
  const site = call.text("site");
  if (site === undefined) throw new Said("Say which site: --site SITE.", 2);
  return site;
}

export function partAsked(call: Call): PartName {
  const text = call.text("partition") ?? "";
  const part = partOf(text);
  if (part === null) throw new Said("Say which partition: --partition positions/p0, as `signalbox retention list` names it.", 2);
  return part;
}

/** The keys by which bundles of a site are verified. */
export function keysFor(call: Call, { audit }: Config, site: string): Given {
  const own = audit === null ? null : verifierKeyPath(join(audit.directory, site, "signer.pem"));
  const keys = keysOf(call.text("key") ?? (own !== null && existsSync(own) ? own : undefined));
  if (keys === null) throw new Said(`Say by which key the archive of site ${site} is verified: --key FILE, the signer's signer.vkey.`, 2);
  return keys;
}

export const nameOfPart = (part: PartName, { site, from, to }: Pick<SitePart, "site" | "from" | "to">): string =>
  `${partText(part)} of site ${site}, positions ${from} to ${to}`;

/** What was refused for a reason that is known is said, not thrown. */
export const saying =
  (run: Command["run"]): Command["run"] =>
  async (call, terminal) => {
    try {
      return await run(call, terminal);
    } catch (error) {
      if (error instanceof RetentionRefused) throw new Said(error.message);
      throw error;
    }
  };
