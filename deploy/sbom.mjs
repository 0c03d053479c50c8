// Writes sbom.cdx.json: every package that runs in production, with version, licence and digest (CycloneDX). `npm run sbom` starts it.
//
// npm makes the document, and leaving out what is for development is done here: `npm sbom --omit dev` also leaves out packages of production that something for
// development needs as well. The lockfile says which are for development alone.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";

const npm = process.env["npm_execpath"];
if (npm === undefined) throw new Error("start it by npm run sbom");
const document = JSON.parse(
  execFileSync(process.execPath, [npm, "sbom", "--sbom-format", "cyclonedx", "--package-lock-only"], { maxBuffer: 2 ** 26, encoding: "utf8" }),
);
const { name, packages } = JSON.parse(readFileSync("package-lock.json", "utf8"));

const production = new Set(
  Object.entries(packages).flatMap(([at, { version, dev }]) => (at === "" || dev === true ? [] : [`${at.split("node_modules/").at(-1)}@${version}`])),
);
const components = document.components.filter((component) => production.has(`${component.name}@${component.version}`));
const kept = new Set([document.metadata.component["bom-ref"], ...components.map((component) => component["bom-ref"])]);
// npm takes the name from the folder
document.metadata.component.name = name;
document.components = components;
document.dependencies = document.dependencies
  .filter(({ ref }) => kept.has(ref))
  .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((on) => kept.has(on)) }));
writeFileSync("sbom.cdx.json", `${JSON.stringify(document, null, 2)}\n`);
