// Fills a database by driving the service of an earlier commit, and writes it down as SQL that any Postgres from 15 on takes. It is run once for each finished issue:
//
//   git worktree add --detach ../earlier COMMIT && cd ../earlier && npm ci && npm run build
//   node test/upgrade/fill.mjs ../earlier ISSUE      (in this checkout; needs mosquitto; takes two minutes)
//
// What it does there is a little of everything: batches that complete, stop, abort and are cancelled, evidence within and without limits, corrections, duplicates, conflicts,
// gaps, deferred, quarantined and parked events, commands, ticks, an interruption. It leaves open what upgrade.test.ts goes on with; the names are those of that test.
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import mqtt from "mqtt";
import pg from "pg";

const [checkout, issue] = process.argv.slice(2);
if (checkout === undefined || issue === undefined) {
  console.error("usage: node test/upgrade/fill.mjs CHECKOUT ISSUE");
  process.exit(2);
}
const root = resolve(checkout);
const commit = execFileSync("git", ["-C", root, "rev-parse", "--short=7", "HEAD"], { encoding: "utf8" }).trim();
const home = mkdtempSync(join(tmpdir(), "signalbox-fill-"));
const SITE = "upgrade";

// ---- the earlier service, its Postgres and a mosquitto

const { startPostgres } = await import(pathToFileURL(join(root, "dist/embedded/postgres.process.js")).href);
const postgres = await startPostgres({ dataDir: join(home, "data") });

const port = await new Promise((found) => {
  const probe = createServer();
  probe.listen(0, "127.0.0.1", () => {
    const free = probe.address().port;
    probe.close(() => found(free));
  });
});
writeFileSync(
  join(home, "mosquitto.conf"),
  [`listener ${port} 127.0.0.1`, "allow_anonymous true", "max_queued_messages 100000", ...(process.getuid?.() === 0 ? ["user root"] : [])].join("\n"),
);
const broker = spawn("mosquitto", ["-c", join(home, "mosquitto.conf")], { stdio: "ignore" });
const mqttUrl = `mqtt://127.0.0.1:${port}`;

let service;
let url;
async function startService() {
  service = spawn(process.execPath, [join(root, "dist/cli/main.js"), "serve"], {
    env: { ...process.env, DATABASE_URL: postgres.runtimeUrl, DATABASE_OWNER_URL: postgres.ownerUrl, MQTT_URL: mqttUrl, HTTP_PORT: "0", LOG_LEVEL: "error" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  url = await new Promise((ready, failed) => {
    service.once("exit", (code) => failed(new Error(`the service ended with ${code}`)));
    service.stdout.on("data", (chunk) => {
      said += chunk;
      const found = /REST +(\S+)/.exec(said);
      if (found !== null) ready(found[1]);
    });
  });
}
async function stopService() {
  const ended = new Promise((done) => service.once("exit", done));
  service.kill("SIGTERM");
  await ended;
}

// ---- what devices and people do

async function ask(method, path, body, headers = {}) {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (response.status >= 500) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return { status: response.status, body: text === "" ? null : JSON.parse(text), etag: response.headers.get("etag") };
}
async function must(...asked) {
  const answer = await ask(...asked);
  if (answer.status >= 300) throw new Error(`${asked.slice(0, 2).join(" ")}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}
async function mustNot(...asked) {
  const answer = await ask(...asked);
  if (answer.status < 300) throw new Error(`${asked.slice(0, 2).join(" ")} was done`);
  return answer.body;
}

const verdicts = [];
let client;
async function connect() {
  client = await mqtt.connectAsync(mqttUrl, { protocolVersion: 5, reconnectPeriod: 200 });
  client.on("message", (_, payload) => verdicts.push(JSON.parse(payload.toString()).data));
  await client.subscribeAsync(`site/${SITE}/line/+/eq/+/verdict`, { qos: 1 });
}
async function verdictOn(source, id, fits = () => true) {
  for (const deadline = Date.now() + 90_000; ; await delay(20)) {
    const found = verdicts.findLast(({ event, ...verdict }) => event.source === source && event.id === id && fits(verdict));
    if (found !== undefined) return found;
    if (Date.now() > deadline)
      throw new Error(
        `no such verdict on ${id} of ${source}; it has ${JSON.stringify(verdicts.filter(({ event }) => event.source === source).map((v) => [v.event.id, v.round, v.status, v.code]))}`,
      );
  }
}

function device(path, epoch = 1) {
  const source = `/site/${SITE}/line/${path.includes("/") ? path.replace("/", "/eq/") : `4/eq/${path}`}`;
  const branch = source.slice(1).replace(/\/device\/.*$/, "");
  const it = {
    source,
    epoch,
    next: 1,
    topic: `${branch}/event`,
    diag: `${branch}/diag`,
    event(type, data = {}, more = {}) {
      const sequence = it.next++;
      return {
        specversion: "1.0",
        id: `${source.split("/").at(-1)}-${it.epoch}-${sequence}`,
        source,
        type: `signalbox.${type}.v1`,
        time: new Date().toISOString(),
        timesource: "ntp",
        epoch: String(it.epoch),
        sequence: String(sequence),
        ...more,
        data,
      };
    },
    async publish(event, options = {}) {
      await client.publishAsync(options.topic ?? it.topic, typeof event === "string" ? event : JSON.stringify(event), { qos: 1, ...options });
      return event;
    },
    send: (type, data, more, options) => it.publish(it.event(type, data, more), options),
    async settled(event, ...statuses) {
      const verdict = await verdictOn(source, event.id, ({ status }) => (statuses.length === 0 ? status !== "deferred" : statuses.includes(status)));
      return verdict;
    },
    async accepted(type, data, more) {
      const event = await it.send(type, data, more);
      const { status, code } = await it.settled(event);
      if (!status.startsWith("accepted")) throw new Error(`${event.id} is ${status} ${code}`);
      return event;
    },
  };
  return it;
}

const BLEND = {
  recipe: "blend",
  revision: 3,
  product: "P-100",
  quantity: { value: "25.000", unit: "kg" },
  stateMachines: { batch: "batch/governed@1", step: "step/governed@1" },
  parameters: { salt: { unit: "kg", default: "12.500", min: "10.000", max: "15.000", scaled: true } },
  steps: [
    {
      step: "weigh",
      patience: "PT5S",
      equipment: [{ role: "scale", class: "scale", locked: "step" }],
      evidence: [{ evidence: "net-weight", kind: "measurement", unit: "kg", count: 1, limits: { parameter: "salt", tolerance: "0.5 %" } }],
    },
    {
      step: "blend",
      after: ["weigh"],
      equipment: [{ role: "mixer", class: "mixer", locked: "batch" }],
      duration: { min: "PT2S" },
      evidence: [{ evidence: "end-temperature", kind: "measurement", unit: "Cel", count: 1, limits: { low: "20", high: "35" } }],
    },
  ],
};
// Its patience outlasts the pause between two versions: what is deferred for it is still open after the upgrade.
const SLOW = {
  recipe: "slow",
  revision: 1,
  product: "P-300",
  quantity: { value: "1", unit: "{piece}" },
  stateMachines: { batch: "batch/governed@1", step: "step/governed@1" },
  steps: [
    {
      step: "press",
      patience: "PT4H",
      equipment: [{ role: "press", class: "press", locked: "step" }],
      evidence: [
        { evidence: "force", kind: "measurement", unit: "kN", limits: { low: "10", high: "20" } },
        { evidence: "lid", kind: "check" },
      ],
    },
    { step: "pack", after: ["press"], patience: "PT4H", equipment: [{ role: "packer", class: "press", locked: "step" }] },
  ],
};

const batches = `/v1/sites/${SITE}/batches`;
const blend = (batch, scale, mixer, more = {}) => ({
  batch,
  jobOrder: `PO-${batch}`,
  line: "4",
  recipe: "blend",
  revision: 3,
  quantity: { value: "25.000", unit: "kg" },
  equipment: { scale, mixer },
  ...more,
});
const commandTo = (batch, command, reason = "fill", headers = {}) => ["POST", `${batches}/${batch}/commands`, { command, reason }, headers];
const stepCommand = (batch, step, body) => ["POST", `${batches}/${batch}/steps/${step}/commands`, { reason: "fill", ...body }];
const about = (batchid, stepid) => ({ batchid, ...(stepid === undefined ? {} : { stepid }) });

async function startedBatch(content) {
  await must("POST", batches, content, { "idempotency-key": `create ${content.batch}` });
  await must(...commandTo(content.batch, "release-to-floor"));
  await must(...commandTo(content.batch, "start"));
}

async function register() {
  // before anything is registered nobody is believed, and nobody but the registry knows the site
  await must("PUT", "/v1/registry/recipes/blend/revisions/3", BLEND);
  await must("PUT", "/v1/registry/recipes/slow/revisions/1", SLOW);
  for (const [equipment, line, className] of [
    ["scale-1", "4", "scale"],
    ["scale-2", "4", "scale"],
    ["scale-3", "4", "scale"],
    ["mixer-1", "4", "mixer"],
    ["mixer-2", "4", "mixer"],
    ["mixer-3", "4", "mixer"],
    ["press-1", "4", "press"],
    ["press-2", "4", "press"],
    ["gate-1", "5", "gate"],
    ["gate-2", "5", "gate"],
    ["gate-3", "5", "gate"],
    ["gate-4", "5", "gate"],
    ["gate-5", "5", "gate"],
    ["gate-6", "5", "gate"],
    ["gate-7", "5", "gate"],
    ["tower-1", "5", "tower"],
    ["tower-2", "5", "tower"],
    ["tower-3", "5", "tower"],
    ["late-1", "5", "tower"],
  ]) {
    if (equipment !== "late-1")
      await must("PUT", `/v1/sites/${SITE}/registry/equipment/${equipment}`, { equipment, line, class: className, title: `The ${equipment}` });
  }
  await must("PUT", `/v1/sites/${SITE}/registry/sources/scale-1:probe`, { source: `/site/${SITE}/line/4/eq/scale-1/device/probe` });
  await must("PUT", `/v1/sites/${SITE}/registry/sources/tower-1:lamp`, { source: `/site/${SITE}/line/5/eq/tower-1/device/lamp`, numbering: false });
  await must("PUT", `/v1/sites/${SITE}/registry/sources/tower-1:stolen`, { source: `/site/${SITE}/line/5/eq/tower-1/device/stolen`, revoked: true });
}

/** Batches in every way that they go. */
async function runBatches() {
  const [scale, mixer, scale2, mixer2, press, packer] = [
    device("scale-1"),
    device("mixer-1"),
    device("scale-2"),
    device("mixer-2"),
    device("press-1"),
    device("press-2"),
  ];
  // asked too early, and answered in the weight's commit
  await startedBatch(blend("B-1", "scale-1", "mixer-1"));
  await must("POST", batches, blend("B-1", "scale-1", "mixer-1"), { "idempotency-key": "create B-1" });
  await must("POST", batches, blend("B-1", "scale-1", "mixer-1"));
  await mustNot("POST", batches, blend("B-1", "scale-1", "mixer-2"));
  await mustNot("POST", batches, blend("B-1b", "scale-1", "mixer-1", { jobOrder: "PO-B-1" }));
  await mustNot("POST", batches, blend("B-1", "scale-2", "mixer-1"), { "idempotency-key": "create B-1" });
  scale.next = 39;
  await scale.accepted("source.birth", { next: "40" });
  await scale.accepted("step.start", {}, about("B-1", "weigh"));
  const early = await scale.send("step.complete", {}, about("B-1", "weigh"));
  await scale.settled(early, "deferred");
  await mixer.send("step.start", {}, about("B-1", "blend"));
  await scale.accepted(
    "step.evidence",
    { evidence: "net-weight", value: "12.503", unit: "kg" },
    { ...about("B-1", "weigh"), correlationid: "w-1", traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" },
  );
  await scale.settled(early, "accepted");
  await scale.publish(early);
  await mixer.accepted("step.evidence", { evidence: "end-temperature", value: "24.5", unit: "Cel" }, about("B-1", "blend"));
  const short = await mixer.send("step.complete", {}, about("B-1", "blend"));
  await mixer.settled(short);
  await delay(2_100);
  await mixer.accepted("step.complete", {}, about("B-1", "blend"));
  await mustNot(...commandTo("B-1", "start"));
  const { etag } = await ask("GET", `${batches}/B-1`);
  await mustNot(...commandTo("B-1", "close", "fill", { "if-match": '"1"' }));
  await must(...commandTo("B-1", "close", "fill", { "if-match": etag }));

  // out of its limits, corrected; ends with exceptions
  await must("POST", batches, blend("B-2", "scale-2", "mixer-2", { quantity: { value: "20.000", unit: "kg" } }));
  await must("PATCH", `${batches}/B-2`, { quantity: { value: "24.000", unit: "kg" } });
  await mustNot("PATCH", `${batches}/B-2`, { quantity: { value: "24.000", unit: "l" } });
  const weigh = about("B-2", "weigh");
  await scale2.send("step.start", {}, weigh);
  await must(...commandTo("B-2", "release-to-floor"));
  await scale2.accepted("batch.start", {}, about("B-2"));
  const wrong = await scale2.send("step.evidence", { evidence: "net-weight", value: "19.000", unit: "kg" }, weigh);
  await scale2.settled(wrong);
  const unit = await scale2.send("step.evidence", { evidence: "net-weight", value: "12000", unit: "g" }, weigh);
  await scale2.settled(unit);
  await ask(...stepCommand("B-2", "weigh", { command: "correct", evidence: { evidence: "net-weight", value: "12.010", unit: "kg" } }));
  await ask(...stepCommand("B-2", "weigh", { command: "evidence", evidence: { evidence: "net-weight", value: "12.000", unit: "kg" } }));
  await must(...stepCommand("B-2", "weigh", { command: "comment", comment: "The scale was wiped." }));
  await ask(...stepCommand("B-2", "weigh", { command: "complete" }));
  await mustNot(...stepCommand("B-2", "weigh", { command: "skip" }));
  await mustNot(...stepCommand("B-2", "nowhere", { command: "start" }));
  await scale2.send("batch.pause", { reason: "break" }, about("B-2"));
  await mixer2.send("step.start", {}, about("B-2", "blend"));
  await delay(300);
  await scale2.send("batch.resume", {}, about("B-2"));
  await mixer2.accepted("alarm.raised", { alarm: "hot", severity: "high" }, about("B-2", "blend"));
  await mixer2.send("step.pause", {}, about("B-2", "blend"));
  await mixer2.send("step.resume", {}, about("B-2", "blend"));
  await mixer2.send("step.evidence", { evidence: "end-temperature", value: "44.0", unit: "Cel" }, about("B-2", "blend"));
  await mixer2.send("step.evidence", { evidence: "end-temperature", value: "30.0", unit: "Cel" }, about("B-2", "blend"));
  await delay(2_100);
  await mixer2.settled(await mixer2.send("step.complete", { reason: "done" }, { ...about("B-2", "blend"), occurred: true }));
  await ask(...commandTo("B-2", "close"));
  await ask(...commandTo("B-2", "stop"));

  // stopped by its line, aborted by a person, cancelled before it began
  await startedBatch(blend("B-3", "scale-2", "mixer-2"));
  await scale2.settled(await scale2.send("step.start", {}, about("B-3", "weigh")));
  await scale2.settled(await scale2.send("batch.stop", { reason: "no salt" }, about("B-3")));
  await scale2.settled(await scale2.send("step.evidence", { evidence: "net-weight", value: "12.5", unit: "kg" }, about("B-3", "weigh")));
  await startedBatch(blend("B-4", "scale-2", "mixer-2"));
  await scale2.settled(await scale2.send("step.start", {}, about("B-4", "weigh")));
  await scale2.settled(await scale2.send("step.abort", { reason: "spilt" }, about("B-4", "weigh")));
  await mustNot("POST", `${batches}/B-4/commands`, { command: "abort" });
  await must(...commandTo("B-4", "abort"));
  await must("POST", batches, blend("B-5", "scale-2", "mixer-2"));
  await must(...commandTo("B-5", "release-to-floor"));
  await must(...commandTo("B-5", "revoke"));
  await must(...commandTo("B-5", "cancel"));
  await mustNot(...commandTo("nowhere", "cancel"));
  await mustNot("POST", batches, blend("B-6", "scale-2", "scale-2"));
  await mustNot("POST", batches, blend("B-6", "scale-2", "mixer-2", { revision: 9 }));
  await mustNot("POST", batches, blend("B-6", "scale-2", "mixer-2", { quantity: { value: "900", unit: "kg" } }));

  // a request and a report that nothing makes true within their patience
  await scale.settled(await scale.send("step.complete", {}, about("B-9", "weigh")), "deferred");
  await startedBatch(blend("B-7", "scale-1", "mixer-1"));
  await scale.accepted("step.start", {}, about("B-7", "weigh"));
  await scale.settled(await scale.send("step.complete", {}, about("B-7", "weigh")), "rejected");
  await scale.accepted("step.evidence", { evidence: "net-weight", value: "12.500", unit: "kg" });
  await scale.accepted("step.complete");

  // in the middle: its second step runs, and is completed by whoever goes on
  await mixer.accepted("step.start", {}, about("B-7", "blend"));
  // open: asked, and answered when the evidence comes, hours later if need be
  await startedBatch({
    batch: "B-8",
    jobOrder: "PO-B-8",
    line: "4",
    recipe: "slow",
    revision: 1,
    quantity: { value: "1", unit: "{piece}" },
    equipment: { press: "press-1", packer: "press-2" },
  });
  await press.accepted("step.start", {}, about("B-8", "press"));
  await press.accepted("step.evidence", { evidence: "lid", value: true }, about("B-8", "press"));
  await press.settled(await press.send("step.complete", {}, about("B-8", "press")), "deferred");
  await packer.settled(await packer.send("step.start", {}, about("B-8", "pack")), "deferred");
  await press.accepted("equipment.state", { state: "Execute" });
}

/** Sources whose numbers go wrong in every way. */
async function countWrongly() {
  const [filled, timed, expiring, reused, skipped, moved, open] = [1, 2, 3, 4, 5, 6, 7].map((n) => device(`5/gate-${n}`));
  const call = { call: "help" };
  // what takes a minute begins first: a gap that stays, and an epoch that ends with events waiting
  await timed.accepted("call.raised", call);
  timed.next = 4;
  await timed.settled(await timed.send("call.raised", call), "deferred");
  await timed.accepted("alarm.raised", { alarm: "ahead" });
  await expiring.accepted("call.raised", call);
  expiring.next = 3;
  const waits = await expiring.send("call.raised", call);
  const again = await expiring.send("call.raised", { call: "again" });
  await expiring.settled(again, "deferred");
  Object.assign(expiring, { epoch: 2, next: 1 });
  await expiring.accepted("source.birth", { next: "2", firmware: "2.0" });
  // one of them comes once more in the new epoch, and is judged there in its stead
  await expiring.settled(await expiring.publish({ ...again, epoch: "2", sequence: String(expiring.next++) }));

  await filled.accepted("call.raised", call);
  const missing = filled.event("call.raised", call);
  const behind = await filled.send("call.raised", call);
  await filled.settled(behind, "deferred");
  await filled.send("call.closed", call);
  await filled.publish(missing);
  await filled.settled(behind, "accepted");
  await filled.publish(missing);
  await filled.settled(missing, "duplicate");
  await filled.publish({ ...missing, data: { call: "other" } });
  const same = await filled.publish({ ...filled.event("call.raised", call), id: missing.id });
  await filled.accepted("call.raised", call);
  filled.next = 9;
  await filled.accepted("source.lost", { from: "7", to: "8" });
  await filled.accepted("call.raised", call);
  await filled.publish(same);
  await filled.publish({ ...filled.event("call.raised", call), sequence: "7", id: "seven" });
  await client.publishAsync(filled.diag, JSON.stringify({ source: filled.source, state: "online", epoch: "1", sequence: "10" }), { qos: 1 });

  await reused.accepted("call.raised", call);
  for (const id of ["twice", "thrice"]) await reused.publish({ ...reused.event("call.raised", call), id, sequence: "1" });
  await delay(300);
  reused.next = 2;
  await reused.settled(await reused.send("call.raised", call), "deferred");
  await client.publishAsync(reused.diag, JSON.stringify({ source: reused.source, state: "offline" }), { qos: 1 });

  await skipped.accepted("call.raised", call);
  await client.publishAsync(skipped.diag, JSON.stringify({ source: skipped.source, state: "online", epoch: "1", sequence: "3" }), { qos: 1 });
  skipped.next = 5;
  await skipped.settled(await skipped.send("call.raised", call), "deferred");
  const gapOf = async ({ source }) => (await must("GET", "/v1/gaps?open=true&limit=100")).items.find((gap) => gap.source === source)?.gap;
  const resolve = async (it, body) => ["POST", `/v1/gaps/${await gapOf(it)}/resolution`, { reason: "fill", ...body }];
  await must(...(await resolve(skipped, { action: "wait" })));
  await must(...(await resolve(skipped, { action: "skip" })));
  await skipped.publish({ ...skipped.event("call.raised", call), sequence: "4", id: "too-late" });

  await moved.accepted("call.raised", call);
  await moved.send("equipment.state", { state: "Execute" });
  await moved.send("count.reported", { counter: "good", value: "10" });
  const older = moved.event("count.reported", { counter: "good", value: "11" });
  await moved.accepted("count.reported", { counter: "good", value: "12" });
  await moved.publish(older);
  moved.next = 9;
  await moved.settled(await moved.send("call.raised", call), "deferred");
  await mustNot(...(await resolve(moved, { action: "rebase", epoch: "1", sequence: "2" })));
  await must(...(await resolve(moved, { action: "rebase", epoch: "3", sequence: "50" })));
  Object.assign(moved, { epoch: 3, next: 50 });
  await moved.accepted("call.raised", call);
  await must("POST", `/v1/sources/${SITE}/5/gate-6/succession`, { reason: "a new one stands there" });
  Object.assign(moved, { epoch: 1, next: 1 });
  await moved.settled(await moved.send("call.raised", call));
  await moved.settled(await moved.send("call.raised", call, { id: "gate-6-new" }));

  await verdictOn(expiring.source, waits.id, ({ round }) => round === 2);
  for (const deadline = Date.now() + 90_000; ; await delay(500)) {
    const gap = (await must("GET", "/v1/gaps?open=true&limit=100")).items.find(({ source }) => source === timed.source);
    if (gap?.parked === "gap") break;
    if (Date.now() > deadline) throw new Error(`the gap of ${timed.source} stays as it is: ${JSON.stringify(gap)}`);
  }
  // open at the end: the number in between is sent by whoever goes on
  await open.accepted("call.raised", call);
  open.next = 3;
  await open.settled(await open.send("call.raised", call), "deferred");
  await open.send("call.closed", call);
}

/** Whatever can be wrong with a delivery. */
async function sayWrongThings() {
  const [tower, lamp, stolen, late] = [device("5/tower-1"), device("5/tower-1/device/lamp"), device("5/tower-1/device/stolen"), device("5/late-1")];
  await tower.publish("{");
  await tower.publish("");
  await tower.publish('{"specversion":"1.0","specversion":"1.0"}');
  await tower.publish(
    `{"specversion":"1.0","id":"n","source":"${tower.source}","type":"signalbox.call.raised.v1","epoch":1,"sequence":1,"data":{"call":"a","call":"b"}}`,
  );
  await tower.publish("x".repeat(300_000));
  await tower.send(
    "call.raised",
    { call: "help" },
    { vendor: "acme", tracestate: "a=b", traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" },
  );
  await tower.send("call.raised", { call: 5 });
  await tower.send("call.raised", { call: "help", more: true });
  await tower.send("nothing.known", {});
  await tower.send("call.raised", { call: "später \u0000 \ud800" });
  await tower.send("batch.approve", {}, about("B-1"));
  await tower.send("call.raised", { call: "help" }, { source: `/site/${SITE}/line/5/eq/tower-2` });
  await tower.send("call.raised", { call: "help" }, { epoch: "01" });
  await tower.send("call.raised", { call: "help" }, { time: "yesterday" });
  await tower.send("call.raised", { call: "help" }, { time: new Date(Date.now() + 3_600_000).toISOString() });
  await tower.send("call.raised", { call: "help" }, { time: new Date(Date.now() - 40 * 86_400_000).toISOString() });
  await tower.send("downtime.reported", { reason: "jam" }, { timesource: "none", time: undefined });
  await tower.send("quality.signal", { signal: "colour", value: "3.20", unit: "1" });
  await tower.publish(tower.event("call.raised", { call: "help" }), { retain: true });
  await client.publishAsync(tower.topic, "", { qos: 1, retain: true });
  await tower.publish(tower.event("call.raised", { call: "qos" }), { qos: 0 });
  await tower.publish(tower.event("call.raised", { call: "asked" }), {
    properties: {
      responseTopic: `site/${SITE}/line/5/eq/tower-1/reply/x`,
      correlationData: Buffer.from([0, 1, 2, 255]),
      contentType: "application/cloudevents+json",
    },
  });
  // binary mode: one user property an attribute
  const { data, ...attributes } = tower.event("call.raised", { call: "binary" });
  await client.publishAsync(tower.topic, JSON.stringify(data), {
    qos: 1,
    properties: { contentType: "application/json", userProperties: { ...attributes, vendor: "acme" } },
  });
  // a source without numbers
  for (const id of ["a", "b", "a"]) await lamp.publish({ ...lamp.event("call.raised", { call: "help" }), id, epoch: undefined, sequence: undefined });
  await lamp.publish({ ...lamp.event("call.raised", { call: "other" }), id: "b", epoch: undefined, sequence: undefined });
  await stolen.send("call.raised", { call: "help" });
  // unknown, and known later
  const stranger = await late.send("call.raised", { call: "help" });
  await late.settled(stranger, "rejected");
  await must("PUT", `/v1/sites/${SITE}/registry/equipment/late-1`, { equipment: "late-1", line: "5", class: "tower" });
  await late.publish(stranger);
  await late.settled(stranger, "accepted");
}

/** Reports that cannot be right, decided by a person; and those without a context. */
async function decideByPerson() {
  const mixer3 = device("mixer-3");
  const consumed = (lot) => mixer3.send("material.consumed", { material: "salt", lot, quantity: { value: "1.0", unit: "kg" } }, about("B-3", "blend"));
  const kept = await consumed("L-1");
  const refused = await consumed("L-2");
  const { verdict } = await mixer3.settled(kept, "quarantined");
  const { verdict: other } = await mixer3.settled(refused, "quarantined");
  await ask("POST", `/v1/quarantine/${verdict}/resolution`, { action: "reprocess", reason: "fill" });
  await must("POST", `/v1/quarantine/${other}/resolution`, { action: "reject", reason: "fill" });
  await ask("POST", `/v1/quarantine/${other}/resolution`, { action: "reject", reason: "fill" });
  const { items: locks } = await must("GET", "/v1/context-locks");
  for (const { lock } of locks.slice(0, 1)) await ask("POST", `/v1/context-locks/${lock}/takeover`, { reason: "fill" });
  // without a context: optional for some, waited for by others
  await mixer3.send("call.raised", { call: "help" });
  const lost = await mixer3.send("material.produced", { material: "mix", lot: "L-3", quantity: { value: "1.0", unit: "kg" } });
  await mixer3.send("label.check", { label: "box", revision: "1" }, about("B-9"));
  await mixer3.settled(lost, "quarantined");
}

/** Many at once, repeated and shuffled, so that groups are large. */
async function flood() {
  const towers = ["tower-2", "tower-3", "scale-3"].map((name) => device(name.startsWith("tower") ? `5/${name}` : name));
  const events = towers.flatMap((it) =>
    Array.from({ length: 60 }, (_, n) => [it, it.event(n % 7 === 0 ? "alarm.raised" : "call.raised", n % 7 === 0 ? { alarm: `a${n}` } : { call: `c${n}` })]),
  );
  const random = ((state) => () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  })(7);
  const shuffled = [...events, ...events.filter(() => random() < 0.3)].map((one) => [random() * 60, one]).sort(([a], [b]) => a - b);
  await Promise.all(shuffled.map(([, [it, event]]) => it.publish(event)));
  for (const it of towers) await it.settled({ id: `${it.source.split("/").at(-1)}-1-60` }, "accepted", "duplicate");
}

// ---- the database as SQL

async function dump() {
  const db = new pg.Client({ connectionString: postgres.ownerUrl });
  await db.connect();
  await db.query("set timezone = 'UTC'; set datestyle = 'ISO'; set extra_float_digits = 1");
  const rows = async (text, values) => (await db.query(text, values)).rows;
  const lines = [
    `-- A database filled by Signalbox at commit ${commit}, the last of issue ${issue}. Made by test/upgrade/fill.mjs; all that it says is made up.`,
    "-- To be run as a superuser after the migrations of that commit.",
    "set session_replication_role = replica;",
    "set timezone = 'UTC';",
  ];
  // partitions by month were made for the months in which it was filled
  for (const { name, parent, bound } of await rows(
    `select c.relname as name, p.relname as parent, pg_get_expr(c.relpartbound, c.oid) as bound
     from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_class p on p.oid = i.inhparent
     where c.relkind = 'r' and p.relname in ('facts', 'outcomes', 'signals', 'verdicts') order by 1`,
  )) {
    lines.push(
      `do $$ begin if to_regclass('${name}') is null then create table ${name} partition of ${parent} ${bound}; alter table ${name} owner to signalbox_owner; ` +
        `grant select, insert on ${name} to signalbox_runtime; end if; end $$;`,
    );
  }
  const tables = await rows(
    "select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition and relname <> 'migrations' order by 1",
  );
  let count = 0;
  for (const { name } of tables) {
    const columns = await rows(
      "select attname as name from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = '' order by attnum",
      [name],
    );
    const list = columns.map((column) => `"${column.name}"`).join(", ");
    const values = columns.map((column) => `quote_nullable("${column.name}"::text)`).join(" || ', ' || ");
    const found = await rows(`select '(' || ${values} || ')' as row from "${name}" order by 1`);
    count += found.length;
    if (found.length > 0)
      lines.push(`delete from "${name}";`, `insert into "${name}" (${list}) overriding system value values\n${found.map(({ row }) => row).join(",\n")};`);
  }
  for (const { table, column } of await rows(
    "select table_name as table, column_name as column from information_schema.columns where table_schema = 'public' and is_identity = 'YES'",
  )) {
    const [{ last }] = await rows(`select coalesce(max("${column}"), 0) + 1 as last from "${table}"`);
    lines.push(`select setval(pg_get_serial_sequence('${table}', '${column}'), ${last}, false);`);
  }
  lines.push("set session_replication_role = origin;", "");
  const { rows: kinds } = await db.query("select status, code, count(*)::int as n from verdicts group by 1, 2 order by 1, 2");
  const { rows: groups } = await db.query("select count(*)::int as n, max(last_position - first_position + 1)::int as largest from commits");
  await db.end();
  return { sql: lines.join("\n"), count, kinds, groups: groups[0] };
}

try {
  await startService();
  await connect();
  await register();
  await Promise.all([countWrongly(), sayWrongThings(), runBatches().then(decideByPerson).then(flood)]);
  // an interruption: due times move on
  await stopService();
  await delay(4_000);
  await startService();
  const after = device("5/tower-3");
  after.next = 61;
  await after.accepted("call.raised", { call: "after-the-interruption" });
  await stopService();
  const { sql, count, kinds, groups } = await dump();
  const directory = new URL("../data/upgrade/", import.meta.url);
  mkdirSync(directory, { recursive: true });
  const packed = gzipSync(sql, { level: 9 });
  writeFileSync(new URL(`issue-${issue}.sql.gz`, directory), packed);
  console.log(
    `${count} rows of ${commit}, ${packed.byteLength} bytes; ${readdirSync(directory).join(" ")}; ${groups.n} commits, the largest of ${groups.largest} positions`,
  );
  for (const { status, code, n } of kinds) console.log(`  ${String(n).padStart(4)}  ${status} ${code ?? ""}`);
} finally {
  await client?.endAsync(true).catch(() => undefined);
  service?.kill("SIGKILL");
  broker.kill("SIGKILL");
  await postgres.stop();
  rmSync(home, { recursive: true, force: true });
}
process.exit(0);
