import { openDatabase } from "../../src/db/database.ts";
import { readAccessReport, signOff } from "../../src/parties/access-review.store.ts";
import { activate, approve, giveCredential, propose, revoke, revokeKey } from "../../src/parties/parties.store.ts";
import { approveDefinition } from "../../src/registry/governed.store.ts";
import { putRecipe, putStateMachine } from "../../src/registry/registry.store.ts";
import { shippedStateMachines } from "../../src/registry/state-machines.file.ts";
import { bringStatus } from "../../src/registry/status.store.ts";
import { bindDevice, endSession, openSession, registerStation, unbindDevice } from "../../src/stations/stations.store.ts";
import { BLEND } from "./blend.ts";
import { envelope, eventTopic, sourceOf } from "./mqtt.ts";
import { deviceRights } from "./parties.ts";
import { machine, person } from "./people.ts";
import type { Day } from "./signed-record.ts";
import { SITE } from "./signed-record.ts";
import { deviceKey } from "./signs.ts";

// What happens in a plant beside what goes well: so much of it that every table of the record has rows when the day is over, and every column of them something in it.

const at = (equipment: string): string => sourceOf(SITE, "4", equipment);

export async function everythingElse({ plant, party, say, decided }: Day): Promise<void> {
  const ask = async (status: number, ...[method, path, body, headers]: Parameters<Day["plant"]["ask"]>) => {
    const answer = await plant.ask(method, path, body, headers);
    if (answer.status !== status) throw new Error(`${method} ${path} gave ${answer.status}: ${JSON.stringify(answer.body)}`);
    return Object(answer.body);
  };
  const send = async (
    source: string,
    epoch: number,
    sequence: number,
    type: string,
    data: Record<string, unknown> = {},
    more: Record<string, unknown> = {},
  ) => {
    const event = envelope(source, epoch, sequence, type, data, more);
    await party.publish(eventTopic(source), event);
    return String(event["id"]);
  };
  for (const [name, className] of [
    ["scale-2", "scale"],
    ["mixer-2", "mixer"],
    ["gate-1", "gate"],
    ["tower-1", "tower"],
    ["press-1", "press"],
  ] as const)
    await plant.equipment(SITE, name, "4", className);
  await ask(200, "PUT", `/v1/sites/${SITE}/registry/equipment/gate-1`, { equipment: "gate-1", line: "4", class: "gate", title: "North gate" });
  const panel = `${at("gate-1")}/device/panel`;
  await ask(200, "PUT", `/v1/sites/${SITE}/registry/sources/panel`, { source: panel, numbering: false });
  await ask(200, "PUT", `/v1/sites/${SITE}/registry/sources/panel`, { source: panel, numbering: false, revoked: true });
  await ask(200, "PUT", `/v1/audit/sites/${SITE}`, { publishAfter: "commit", unsignedLimit: 200_000, rotateAfter: 5_000_000 });

  // a batch in the middle of its steps, with evidence that was corrected; and one that was given up
  const order = (batch: string) => ({
    batch,
    jobOrder: `PO-${batch}`,
    line: "4",
    recipe: "blend",
    revision: 3,
    quantity: { value: "25.000", unit: "kg" },
    equipment: { scale: "scale-2", mixer: "mixer-2" },
  });
  for (const batch of ["B-2", "B-3"]) await ask(201, "POST", `/v1/sites/${SITE}/batches`, order(batch), { "idempotency-key": `k-${batch}` });
  const command = (batch: string, name: string, status = 200) =>
    ask(status, "POST", `/v1/sites/${SITE}/batches/${batch}/commands`, { command: name, reason: "as planned" });
  for (const name of ["release-to-floor", "start", "stop", "close"]) await command("B-3", name);
  await command("B-2", "release-to-floor");
  await command("B-2", "start");
  const weigh = { batchid: "B-2", stepid: "weigh" };
  const trace = { correlationid: "order-7", traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" };
  await decided(await say(at("scale-2"), "step.start", {}, { ...weigh, ...trace }));
  await decided(await say(at("scale-2"), "step.evidence", { evidence: "net-weight", value: "12.503", unit: "kg" }, weigh));
  await ask(200, "POST", `/v1/sites/${SITE}/batches/B-2/steps/weigh/commands`, {
    command: "correct",
    reason: "read wrongly",
    evidence: { evidence: "net-weight", value: "12.510", unit: "kg" },
  });
  await decided(await say(at("scale-2"), "step.complete", {}, weigh));
  await decided(await say(at("mixer-2"), "step.start", {}, { batchid: "B-2", stepid: "blend" }));
  // said of a step that it is not in: quarantined, and rejected by a person
  const wrong = await say(at("mixer-2"), "step.evidence", { evidence: "end-temperature", value: "24.5", unit: "kg" }, { batchid: "B-2", stepid: "blend" });
  await party.until("what is quarantined", ({ topic, body }) => topic.endsWith("/verdict") && body.causationid === wrong && body.data.status === "quarantined");
  const { items } = await ask(200, "GET", `/v1/quarantine?site=${SITE}`);
  const entry = items.find(({ eventId }: { eventId: string }) => eventId === wrong);
  await ask(200, "POST", `/v1/quarantine/${entry.id}/resolution`, { action: "reject", reason: "no temperature" });
  await decided(await say(at("mixer-2"), "equipment.state", { state: "Execute" }));
  await party.publish(`${at("mixer-2").slice(1)}/diag`, { state: "online" });

  // reviews: one concluded, one open
  const reviewed = (batch: string) => ask(201, "POST", "/v1/audit/reviews", { site: SITE, batch }, { reason: "before release" });
  const { review } = await reviewed("B-3");
  await ask(200, "POST", `/v1/audit/sites/${SITE}/reviews/${review.review}/conclusion`, {
    digest: review.digest,
    conclusion: "objected",
    finding: "Given up.",
  });
  await reviewed("B-1");
  await ask(200, "PUT", "/v1/registry/recipes/blend/revisions/4", { ...BLEND, revision: 4 }, { reason: "next recipe" });

  await atStation({ plant, say, decided });

  // numbers that go wrong: a gap, with what waits behind it and what acts ahead; one that its person gives up; an epoch that ends; a counter that goes back
  await send(at("gate-1"), 1, 1, "call.raised", { call: "help" });
  await send(at("gate-1"), 1, 4, "call.raised", { call: "help" });
  await send(at("gate-1"), 1, 6, "alarm.raised", { alarm: "a-9" });
  for (const sequence of [1, 4]) await send(at("tower-1"), 1, sequence, "call.raised", { call: "help" });
  await send(at("tower-1"), 2, 1, "source.birth", { next: "2" });
  await send(at("tower-1"), 2, 2, "call.raised", { call: "c" }, { id: "one" });
  await send(at("tower-1"), 2, 3, "call.raised", { call: "other" }, { id: "one" });
  await send(at("press-1"), 1, 1, "call.raised", { call: "help" });
  for (const id of ["again", "and-again"]) await send(at("press-1"), 1, 1, "call.raised", { call: "help" }, { id });
  // deferred: a batch that there is not, and what waits behind its start
  const nowhere = { batchid: "B-9", stepid: "weigh" };
  await send(at("scale-2"), 1, 4, "step.start", {}, nowhere);
  await send(at("scale-2"), 1, 5, "step.complete", {}, nowhere);
  await party.until("the last of it", ({ topic, body }) => topic.endsWith("/verdict") && body.causationid === "scale-2-1-5");
  await party.until("the parked counter", ({ topic, body }) => topic.endsWith("/verdict") && body.causationid === "and-again");

  await statuses(plant);
  await approvals(plant.database.runtimeUrl);
  await parties(plant.database.runtimeUrl);
}

/** What one person registers and another approves. */
async function approvals(url: string): Promise<void> {
  const { db, close } = openDatabase(url, { max: 1, applicationName: "approvals" });
  const by = (person: string) => ({ actor: `person:${person}`, from: null, reason: "as planned", signature: { signature: `by ${person}` } });
  try {
    const [shipped] = await shippedStateMachines();
    const machine = { ...shipped, name: "batch/own", revision: 1 };
    const put = [await putRecipe(db, { ...BLEND, revision: 5 }, by("ann")), await putStateMachine(db, machine, by("ann"))];
    for (const [kind, name, revision, of] of [
      ["recipe", "blend", 5, put[0]],
      ["state machine", "batch/own", 1, put[1]],
    ] as const) {
      const done = await approveDefinition(db, kind, { name, revision, hash: of?.kind === "registered" ? of.hash : "" }, by("bob"));
      if (done.kind === "refused") throw new Error(JSON.stringify([of, done]));
    }
  } finally {
    await close();
  }
}

/** A station with two devices, one of which left again; a person who was there, and one who is; and what the latter performed. */
async function atStation({ plant, say, decided }: Pick<Day, "plant" | "say" | "decided">): Promise<void> {
  for (const id of ["olga", "omar"]) await person(plant, id, { role: "operator", site: SITE });
  const { db, close } = openDatabase(plant.database.runtimeUrl, { max: 1, applicationName: "stations" });
  const asked = (who: string) => ({ site: SITE, station: "blending", by: { actor: `person:${who}`, from: null, reason: "as planned" }, key: null });
  try {
    const first = [
      await registerStation(db, asked("erik"), { line: "4", title: "Blending", idleSeconds: 3600 }),
      await bindDevice(db, asked("erik"), at("mixer-2")),
      await bindDevice(db, asked("erik"), at("scale-2")),
      await unbindDevice(db, asked("erik"), at("scale-2")),
    ];
    const was = await openSession(db, asked("omar"), "omar", null);
    const ended = was.kind === "done" ? await endSession(db, asked("omar"), was.result.session, false) : was;
    if ([...first, ended, await openSession(db, asked("olga"), "olga", null)].some(({ kind }) => kind === "refused")) throw new Error(JSON.stringify(first));
  } finally {
    await close();
  }
  // the service's clock goes on behind the database's, so what is said at once may lie before
  do await decided(await say(at("mixer-2"), "equipment.state", { state: "Execute" }));
  while ((await plant.database.query("select 1 from performances")).length === 0);
}

/** What a system of record says of a scale: twice, so that the second tells what was before. */
async function statuses(plant: Day["plant"]): Promise<void> {
  await machine(plant, "calibration", "olga", { role: "feed", site: SITE, kind: "calibration" });
  const { db, close } = openDatabase(plant.database.runtimeUrl, { max: 1, applicationName: "statuses" });
  const by = { actor: "machine:calibration", from: null, reason: "by its calendar" };
  const of = { site: SITE, kind: "calibration", id: "scale-1" };
  try {
    for (const status of ["current", "overdue"])
      await bringStatus(db, of, { status, validUntil: "2026-12-01T00:00:00Z", reference: "CERT-17" }, by, { key: null, ifVersion: null });
  } finally {
    await close();
  }
}

/** Who may do what at the broker: one party in force, one revoked. From here on the broker lets in only who has a name, so it comes last. */
async function parties(url: string): Promise<void> {
  const { db, close } = openDatabase(url, { max: 1, applicationName: "parties" });
  const by = (person: string) => ({ actor: `person:${person}`, from: null, reason: "as planned" });
  try {
    for (const [n, name] of ["scale-1", "mixer-1"].entries()) {
      const keys = [1, 2].map((key) => deviceKey(`${name}-${key}`, 10 * (n + 1) + key));
      const signing = { keys: keys.map(({ kid, publicKey }) => ({ kid, publicKey, validFrom: null, validUntil: null })), must: [] };
      const asked = (person: string) => ({ site: SITE, party: name, by: by(person), key: null });
      const definition = { kind: "device", owner: "person:ann", may: [...deviceRights(name)], validFrom: null, validUntil: null } as const;
      const done = [
        await propose(db, asked("ann"), { ...definition, may: [...definition.may], signing }),
        await approve(db, asked("bob"), 1),
        await activate(db, asked("ann"), 1),
        await giveCredential(db, asked("ann")),
      ];
      if (done.some(({ kind }) => kind === "refused")) throw new Error(JSON.stringify(done));
    }
    await revokeKey(db, { site: SITE, party: "scale-1", by: by("ann"), key: null }, "scale-1-1", "the device was opened");
    await revoke(db, { site: SITE, party: "mixer-1", by: by("ann"), key: null }, "out of use");
    const report = await readAccessReport(db, SITE, "", Date.now());
    await signOff(db, { site: SITE, by: by("carl"), key: null }, { digest: report?.digest ?? "", finding: "As it should be." }, "", Date.now());
  } finally {
    await close();
  }
}
