import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { disk } from "../audit/disk.file.ts";
import { signerName } from "../audit/note-key.ts";
import { makeNextKey, verifierKeyPath } from "../audit/signer-key.file.ts";
import { isPlantId } from "../decode/topic.ts";
import { loadConfig } from "../ops/config.file.ts";
import type { Command } from "./command.ts";
import { Said } from "./said.ts";

export const rotateKey: Command = {
  name: "rotate-key",
  summary: "Make the key with which the audit log is to be signed next.",
  positionals: [],
  options: {
    site: { type: "string", value: "SITE", help: "The site whose signer gets another key." },
    all: { type: "boolean", help: "Every site that has a signer here." },
  },
  notes: [
    "Works on the signer's files in AUDIT_DIR; by default those of the embedded database, in DATA_DIR. The service goes on signing with the key that it has until it is started again.",
    "Then one checkpoint is signed by both keys and names the new one: whoever holds the first public key, signer.vkey, can follow all others from there, and needs no other.",
    "Run it as the account of the service, or as root: the key belongs to whom the signer's folder belongs to.",
    "After that the private half of the former key is needed no more, and may be destroyed; the public halves stay.",
    "A key that was stolen can sign what it likes until then: what it signed is told from the signer's own by the mirror, AUDIT_MIRROR_DIR.",
  ],
  examples: ["signalbox rotate-key --site rtm1", "AUDIT_DIR=/srv/signer signalbox rotate-key --all"],
  exits: {
    done: "The keys are made; start the service again.",
    found: "There is no signer here, and nothing was made; or the service cannot read what was made, and the message says what to do.",
  },
  async run(call, terminal) {
    const { audit } = loadConfig(call.environment);
    if (audit === null) throw new Said("AUDIT_DIR is not set: say where the signer keeps its keys, and AUDIT_MIRROR_DIR.", 2);
    const site = call.text("site") ?? null;
    if ((site === null) === !call.flag("all")) throw new Said("Say whose key: --site SITE, or --all.", 2);
    if (site !== null && !isPlantId(site)) throw new Said(`"${site}" is no site.`, 2);
    const made = [];
    for (const one of site === null ? foldersIn(audit.directory) : [site]) {
      const next = await makeNextKey(disk, join(audit.directory, one), signerName(one));
      if (next !== null) made.push({ site: one, key: next.path, publicKey: verifierKeyPath(next.path), verifierKey: next.key.verifier.text });
    }
    if (made.length === 0) throw new Said(`There is no signer of ${site === null ? "any site" : `site ${site}`} in ${audit.directory}.`);
    if (call.flag("json")) terminal.out(JSON.stringify({ made }));
    else {
      for (const { site: one, key, verifierKey } of made) terminal.out(`${one}: ${key}, with its public half ${verifierKey}`);
      terminal.out("Start the service again: its next checkpoint names the new key, and the one after is signed by it alone.");
    }
    const foreign = made.filter(({ key }) => statSync(key).uid !== statSync(dirname(key)).uid);
    for (const { key, publicKey } of foreign)
      terminal.err(
        `${key} belongs to you, and its folder to the account with the number ${statSync(dirname(key)).uid}: the service that runs under it cannot read the key, and would not start. Before you start it again, as root: chown ${statSync(dirname(key)).uid} ${key} ${publicKey}`,
      );
    return foreign.length === 0 ? 0 : 1;
  },
};

const foldersIn = (directory: string): readonly string[] =>
  existsSync(directory) ? readdirSync(directory, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? entry.name : [])) : [];
