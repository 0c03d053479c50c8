import { createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { z } from "zod";
import { loadConfig } from "../ops/config.file.ts";
import { definitionSchema, PARTY_STATES } from "../parties/party.ts";
import { type Call, type Command, type Described, URL_OPTION } from "./command.ts";
import { type Answer, problemInWords, restAt } from "./rest.fetch.ts";
import { Said } from "./said.ts";

const SITE: Described = { type: "string", value: "SITE", help: "The party's site." };
const OVER_REST = "Asks the running service over REST, as whoever SIGNALBOX_TOKEN stands for: who may do it is the same as there.";
const instant = (help: string): Described => ({
  type: "string",
  value: "TIME",
  help: `${help} RFC 3339 in UTC with milliseconds, such as 2028-01-01T00:00:00.000Z.`,
});

const shown = z.looseObject({
  revokedKeys: z.array(z.string()),
  revisions: z.array(z.looseObject({ ...definitionSchema.shape, state: z.enum(PARTY_STATES), revision: z.int() })),
});
const revision = z.looseObject({ revision: z.int() });

export const partiesAddKey: Command = {
  name: "parties add-key",
  summary: "Propose a signing key for a party, beside those that it has and that were not revoked.",
  positionals: ["PARTY", "KID", "FILE"],
  options: {
    url: URL_OPTION,
    site: SITE,
    must: { type: "string", many: true, value: "TYPE", help: "A type of which events must be signed, or all. Default: as it is; of a party's first key, all." },
    "valid-from": instant("From when on the key counts."),
    "valid-until": instant("Until when it does."),
  },
  notes: [
    "FILE is the public half of an Ed25519 key in PEM: openssl pkey -in device.pem -pubout. The private half stays on the device.",
    "It becomes the next revision of the party; another person approves it, and it is activated, over REST (docs/parties.md).",
    OVER_REST,
  ],
  examples: ["signalbox parties add-key scale-1 scale-1-2026 scale-1.pub.pem --site rtm1 --must all"],
  exits: { done: "It is proposed; the number of the revision is printed.", found: "It was refused, or could not be asked; the message says why." },
  async run(call, terminal) {
    const [party = "", kid = "", file = ""] = call.positionals;
    const { rest, path } = at(call, party);
    const { revisions: known, revokedKeys } = shown.parse(bodyOf(await rest.ask("GET", path)));
    const before = known.find(({ state }) => state === "active") ?? known.at(-1);
    if (before === undefined) throw new Said(`Party ${party} has no revision.`);
    const key = { kid, publicKey: publicKeyIn(file), validFrom: call.text("valid-from") ?? null, validUntil: call.text("valid-until") ?? null };
    const { kind, owner, may, validFrom, validUntil, signing } = before;
    const signs = { keys: [...(signing?.keys ?? []).filter((one) => !revokedKeys.includes(one.kid)), key], must: mustIn(call) ?? signing?.must ?? "all" };
    const proposed = revision.parse(bodyOf(await rest.ask("PUT", path, { kind, owner, may, validFrom, validUntil, signing: signs })));
    if (call.flag("json")) terminal.out(JSON.stringify({ party, revision: proposed.revision, signing: signs }));
    else terminal.out(`Key ${kid} is proposed with revision ${proposed.revision} of ${party}; another person approves it.`);
    return 0;
  },
};

export const partiesRevokeKey: Command = {
  name: "parties revoke-key",
  summary: "Revoke a signing key of a party, at once and for good.",
  positionals: ["PARTY", "KID"],
  options: { url: URL_OPTION, site: SITE, reason: { type: "string", value: "TEXT", help: "Why; it goes on record." } },
  notes: ["Nothing that it signs is believed from then on; what was believed before stays. What had to be signed still must be, by another key.", OVER_REST],
  examples: ['signalbox parties revoke-key scale-1 scale-1-2026 --site rtm1 --reason "the device was opened"'],
  exits: { done: "It is revoked.", found: "It was refused, or could not be asked; the message says why." },
  async run(call, terminal) {
    const [party = "", kid = ""] = call.positionals;
    const reason = call.text("reason");
    if (reason === undefined) throw new Said("Say why: --reason TEXT.", 2);
    const { rest, path } = at(call, party);
    bodyOf(await rest.ask("POST", `${path}/keys/${encodeURIComponent(kid)}/revocation`, { reason }));
    terminal.out(call.flag("json") ? JSON.stringify({ party, kid, revoked: true }) : `Key ${kid} of ${party} is revoked.`);
    return 0;
  },
};

function at(call: Call, party: string) {
  const site = call.text("site");
  if (site === undefined) throw new Said("Say at which site: --site SITE.", 2);
  const rest = restAt(call.text("url") ?? "", loadConfig(call.environment).token);
  return { rest, path: `/v1/sites/${encodeURIComponent(site)}/parties/${encodeURIComponent(party)}` };
}

function bodyOf(answer: Answer): unknown {
  if (!answer.ok) throw new Said(problemInWords(answer.problem));
  return answer.body;
}

function mustIn(call: Call): "all" | readonly string[] | null {
  const types = call.texts("must");
  return types.length === 0 ? null : types.includes("all") ? "all" : types;
}

function publicKeyIn(file: string): string {
  let pem: string;
  try {
    pem = readFileSync(file, "utf8");
  } catch (error) {
    throw new Said(`${file} cannot be read: ${error instanceof Error ? error.message : error}`);
  }
  // Node would make the public half of it; that it came here at all is the mistake
  if (pem.includes("PRIVATE KEY"))
    throw new Said(`${file} is a private key, which stays on the device: openssl pkey -in FILE -pubout makes the public one.`, 2);
  const { crv, x } = jwkOf(pem);
  if (crv !== "Ed25519" || x === undefined) throw new Said(`${file} is no Ed25519 public key in PEM.`, 2);
  return x;
}

function jwkOf(pem: string): { readonly crv?: string; readonly x?: string } {
  try {
    return createPublicKey(pem).export({ format: "jwk" });
  } catch {
    return {};
  }
}
