// What the mutants came to: the score of each room, and every survivor held against test/mutation/survivors.json. Fails where a room is under 85 %, where a file of it was not
// tried, where a survivor is not listed with its reason, and where a listed one survives no more. `--draft` adds what is not listed, with an empty reason, which fails too until somebody gives one.
import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const root = fileURLToPath(new URL("../../", import.meta.url));
const ROOMS = ["sequence", "decide", "commit"];
const LEAST = 85;

const reportFile = join(root, ".cache", "mutation", "incremental.json");
const listFile = join(root, "test", "mutation", "survivors.json");
const draft = process.argv.includes("--draft");
if (!existsSync(reportFile)) {
  console.log("No mutant was tried yet: npm run mutation");
  process.exit(1);
}

/** A survivor is known by its file, its line as it is written, and what the mutant makes of it. */
function survivorsIn(file, { source, mutants }) {
  const lines = source.split("\n");
  return mutants
    .filter(({ status }) => status === "Survived" || status === "NoCoverage")
    .map(({ location: { start, end }, replacement, mutatorName }) => {
      const whole = lines.slice(start.line - 1, end.line).join("\n");
      const before = whole.slice(start.column - 1, whole.length - ((lines[end.line - 1] ?? "").length - (end.column - 1)));
      return { file, line: (lines[start.line - 1] ?? "").trim(), mutant: `${mutatorName}: ${inShort(before)} => ${inShort(replacement)}` };
    });
}
const inShort = (text) => (text ?? "").replace(/\s+/g, " ").slice(0, 120);

/** Whether anything is left of a file without its types and comments. */
function hasCode(file) {
  const { outputText } = ts.transpileModule(readFileSync(join(root, file), "utf8"), {
    compilerOptions: { target: "ESNext", module: "ESNext", removeComments: true },
  });
  return outputText.replace("export {};", "").trim() !== "";
}

const { files } = JSON.parse(readFileSync(reportFile, "utf8"));
const list = existsSync(listFile) ? JSON.parse(readFileSync(listFile, "utf8")) : [];
const listed = (survivor) =>
  list.find(({ file, line, mutants }) => file === survivor.file && line === survivor.line && mutants.includes(survivor.mutant) === true);

let failed = false;
const scores = [];
const complain = (text) => {
  failed = true;
  console.log(text);
};

const found = [];
for (const room of ROOMS) {
  const counts = { Killed: 0, Timeout: 0, Survived: 0, NoCoverage: 0, Ignored: 0 };
  for (const [file, report] of Object.entries(files)) {
    if (!file.startsWith(`src/${room}/`)) continue;
    for (const { status } of report.mutants) counts[status] = (counts[status] ?? 0) + 1;
    found.push(...survivorsIn(file, report));
  }
  const detected = counts.Killed + counts.Timeout;
  const tried = detected + counts.Survived + counts.NoCoverage;
  const score = tried === 0 ? 0 : (100 * detected) / tried;
  console.log(
    `${room}: ${score.toFixed(1)} % of ${tried} (${counts.Killed} killed, ${counts.Timeout} timed out, ${counts.Survived} survived, ${counts.NoCoverage} not covered; ${counts.Ignored} left alone)`,
  );
  if (score < LEAST) complain(`  ${room} is under ${LEAST} %`);
  // a run that was broken off leaves files without a result, and they must not pass for files without survivors
  for (const name of readdirSync(join(root, "src", room)).map((file) => `src/${room}/${file}`))
    if (name.endsWith(".ts") && files[name] === undefined && hasCode(name)) complain(`  ${name} was not tried`);
  scores.push(`${room} ${score.toFixed(1)} %`);
}

const key = ({ file, line }) => `${file}\n${line}`;
if (draft) {
  const entries = new Map(list.map((entry) => [key(entry), { ...entry, mutants: [...entry.mutants] }]));
  for (const survivor of found.filter((one) => listed(one) === undefined)) {
    const entry = entries.get(key(survivor)) ?? { file: survivor.file, line: survivor.line, mutants: [], reason: "" };
    if (!entry.mutants.includes(survivor.mutant)) entry.mutants.push(survivor.mutant);
    entries.set(key(survivor), entry);
  }
  writeFileSync(listFile, `${JSON.stringify([...entries.values()], null, 2)}\n`);
  console.log(`${entries.size} lines are listed in test/mutation/survivors.json`);
} else {
  for (const survivor of found.filter((one) => !listed(one)?.reason))
    complain(`not listed with a reason: ${survivor.file}\n  ${survivor.line}\n  ${survivor.mutant}`);
  const surviving = new Set(found.map((one) => `${key(one)}\n${one.mutant}`));
  for (const entry of list)
    for (const mutant of entry.mutants)
      if (files[entry.file] !== undefined && !surviving.has(`${key(entry)}\n${mutant}`))
        complain(`listed, and survives no more: ${entry.file}\n  ${entry.line}\n  ${mutant}`);
}
if (process.env["SIGNALBOX_FIGURES"] !== undefined)
  appendFileSync(process.env["SIGNALBOX_FIGURES"], `${JSON.stringify({ name: "mutation", figure: `${scores.join(", ")}; ${found.length} survivors` })}\n`);
process.exit(failed ? 1 : 0);
