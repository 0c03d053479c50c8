// Promise: what the service acknowledged is durable, and what it did not acknowledge comes again; so killing it loses nothing, doubles nothing, reorders nothing.
// Attack: kill -9 at every named point of the route, C0 to C11, twenty times in 5,000 events through mosquitto, with devices that send once and never resend.
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startWithFailpoints } from "../support/failpoints.ts";
import { measured, SEED, seeded } from "../support/measure.ts";
import { describeWithMosquitto, type Mosquitto, startMosquitto } from "../support/mosquitto.ts";
import { envelope, eventTopic, join as joinBroker, type Party, type Seen, sourceOf } from "../support/mqtt.ts";
import { freshDatabase } from "../support/postgres.ts";
import { messageValidator } from "../support/validate.ts";

const SITE = "crash";
const SOURCES = Array.from({ length: 20 }, (_, i) => sourceOf(SITE, "1", `unit-${i + 1}`));
const EVENTS = Number(process.env["SIGNALBOX_CRASH_EVENTS"] ?? 5_000);
const POINTS = ["C0", "C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "C9", "C10", "C11"] as const;
const KILLS = 20;
/** However slowly a machine starts the next service: no more than this waits for it. */
const OPEN = 1_000;

let database: Awaited<ReturnType<typeof freshDatabase>>;
let broker: Mosquitto;
let party: Party;

describeWithMosquitto("a service that is killed", () => {
  beforeAll(async () => {
    database = await freshDatabase();
    broker = await startMosquitto();
    party = await joinBroker(broker.url, { clean: false, clientId: "crash-party" });
    await party.subscribe(`site/${SITE}/line/+/eq/+/verdict`, `site/${SITE}/line/+/eq/+/outcome`);
  });
  afterAll(async () => {
    await party?.end();
    await broker?.stop();
    await database?.drop();
  });

  interface Victim {
    readonly process: ChildProcess;
    readonly url: string;
    /** Arms a point: the process kills itself the n-th time it comes there. */
    arm(point: string, nth: number): void;
    /** Resolves when it is dead, with what it said of itself last. */
    readonly dead: Promise<{ readonly point: string | null; readonly unacknowledged: number }>;
  }

  async function startVictim(): Promise<Victim> {
    const report = join(mkdtempSync(join(tmpdir(), "signalbox-crash-")), "dying.json");
    const started = await startWithFailpoints({ database, mqttUrl: broker.url, report });
    const dead = started.dead.then(() => (existsSync(report) ? JSON.parse(readFileSync(report, "utf8")) : { point: null, unacknowledged: 0 }));
    return { process: started.process, url: started.url, dead, arm: (point, nth) => void started.process.send({ arm: point, nth }) };
  }

  test(`killed ${KILLS} times in ${EVENTS} events, at every point from C0 to C11: no fact lost, doubled or out of order`, async () => {
    const random = seeded(SEED);
    let victim = await startVictim();
    for (const source of SOURCES) {
      const equipment = source.split("/").pop();
      const answer = await fetch(`${victim.url}/v1/sites/${SITE}/registry/equipment/${equipment}`, {
        method: "PUT",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ equipment, line: "1", class: "unit" }),
      });
      expect(answer.status).toBeLessThan(300);
    }
    const outcomes = new Set<string>();
    let looked = 0;
    const settled = (): number => {
      for (; looked < party.seen.length; looked += 1) {
        const { topic, body } = party.seen[looked] ?? { topic: "", body: {} };
        if (topic.endsWith("/outcome")) outcomes.add(`${topic} ${body.causationid}`);
      }
      return outcomes.size;
    };
    const next = new Map(SOURCES.map((source) => [source, 1]));
    let sent = 0;
    let allowed = 0;
    let ended = false;
    const send = async (source: string, sequence: number): Promise<void> => {
      await party.publish(eventTopic(source), envelope(source, 1, sequence, "call.raised", { call: "help" }));
      sent += 1;
    };
    // Devices that send once: each publish waits for the broker's acknowledgement, and is never repeated. The load is spread over the kills, and goes on gently while a
    // point is not yet reached. One event in twenty is sent some forty later, so that others wait for it (C11).
    const load = (async () => {
      const late: { source: string; sequence: number; at: number }[] = [];
      const sendLate = async (until: number): Promise<void> => {
        for (let due = late[0]; due !== undefined && due.at <= until; due = late[0]) {
          late.shift();
          await send(due.source, due.sequence);
        }
      };
      while (!ended || sent < EVENTS) {
        if (!ended && sent >= allowed) {
          await new Promise((resolve) => setTimeout(resolve, 100));
          if (sent - settled() < OPEN) allowed = Math.max(allowed, sent + 20);
          continue;
        }
        const source = SOURCES[Math.floor(random() * SOURCES.length)] ?? "";
        const sequence = next.get(source) ?? 1;
        next.set(source, sequence + 1);
        if (random() < 0.05) late.push({ source, sequence, at: sent + 40 });
        else await send(source, sequence);
        await sendLate(sent);
      }
      await sendLate(Number.POSITIVE_INFINITY);
    })();
    const hit = new Map<string, number>();
    let inFlight = 0;
    for (let kill = 0; kill < KILLS; kill += 1) {
      const point = POINTS[kill % POINTS.length] ?? "C0";
      victim.arm(point, 1 + Math.floor(random() * 3));
      allowed = Math.max(allowed, Math.ceil((EVENTS * (kill + 1)) / KILLS));
      const end = await victim.dead;
      expect(end.point, `kill ${kill + 1}, seed ${SEED}`).toBe(point);
      hit.set(point, (hit.get(point) ?? 0) + 1);
      if (end.unacknowledged > 0) inFlight += 1;
      victim = await startVictim();
    }
    ended = true;
    await load;
    const total = sent;
    await party.untilAll(`an outcome of each of ${total} events (seed ${SEED})`, () => settled() >= total, 120_000);

    expect([...hit.keys()].sort()).toEqual([...POINTS].sort());
    const described = await messageValidator(victim.url);
    for (const { topic, body } of party.seen) described.check(topic, body);
    for (const source of SOURCES) {
      const topic = `${source.slice(1)}/outcome`;
      const told = party.seen.filter((s) => s.topic === topic).map((s) => s.body);
      const first = new Map<string, Seen["body"]>();
      for (const outcome of told) if (!first.has(outcome.sequence)) first.set(outcome.sequence, outcome);
      const inOrder = [...first.values()];
      // first publications come in order without holes, and carry the source's events in their order, each once
      expect(
        inOrder.map((o) => Number(o.sequence)),
        `${source}, seed ${SEED}`,
      ).toEqual(inOrder.map((_, i) => i + 1));
      expect(
        inOrder.map((o) => Number(o.causationid.split("-").pop())),
        `${source}, seed ${SEED}`,
      ).toEqual(inOrder.map((_, i) => i + 1));
      expect(inOrder.length).toBe((next.get(source) ?? 1) - 1);
      for (const outcome of told) expect(outcome).toEqual(first.get(outcome.sequence));
    }
    const holes =
      await database.query(`select count(*)::int as n from (select position, lag(position) over (order by position) as before from signals where site = '${SITE}') s where before is not null and position <> before + 1
    and not exists (select from verdicts v where v.site = '${SITE}' and v.position > s.before and v.position < s.position)`);
    expect(holes[0]?.["n"]).toBe(0);
    const positions =
      await database.query(`select (select position::int from sites where site = '${SITE}') as head, (select count(distinct position)::int from (
    select position from signals where site = '${SITE}' union select position from verdicts where site = '${SITE}') p) as used`);
    expect(positions[0]?.["used"]).toBe(positions[0]?.["head"]);
    measured(
      "crash",
      `seed ${SEED}: ${KILLS} kills at ${[...hit].map(([p, n]) => `${p}:${n}`).join(" ")}, ${inFlight} with deliveries in flight, ${total} events sent, ${total} facts`,
    );
    measured("crash.inFlight", String(inFlight));
    victim.process.kill("SIGTERM");
    await victim.dead;
  }, 600_000);
});
