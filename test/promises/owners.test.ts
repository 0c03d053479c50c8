// Promise: one writer at a time to a shard, and another when it is gone: nothing lost, doubled or out of order, and whoever wakes up after losing the shard writes and
// publishes nothing. Attack: start a second service on the database and the broker of one that runs; then, under load, kill the owner, stop it, stop it inside a commit, end
// it cleanly, and let each that was stopped go on.
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startWithFailpoints } from "../support/failpoints.ts";
import { measured } from "../support/measure.ts";
import { describeWithMosquitto, type Mosquitto, startMosquitto } from "../support/mosquitto.ts";
import { envelope, eventTopic, join, type Party, type Seen, sourceOf, verdictTopicOf } from "../support/mqtt.ts";
import { type Plant, startPlant } from "../support/plant.ts";
import { freshDatabase, type TestDatabase } from "../support/postgres.ts";

const SOURCE = sourceOf("owners", "1", "button");

/** Asks again and again; the answer is what is waited for, not the time. */
async function eventually<T>(what: string | (() => string), ask: () => Promise<T | null>): Promise<T> {
  const deadline = Date.now() + 60_000;
  while (Date.now() < deadline) {
    const answer = await ask();
    if (answer !== null) return answer;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`${typeof what === "string" ? what : what()}: not within a minute`);
}

describeWithMosquitto("two services on one shard", () => {
  let database: TestDatabase;
  let broker: Mosquitto;
  let party: Party;
  const plants: Plant[] = [];
  const start = async (): Promise<Plant> => {
    const plant = await startPlant({ database, broker: { url: broker.url } });
    plants.push(plant);
    return plant;
  };

  beforeAll(async () => {
    database = await freshDatabase();
    broker = await startMosquitto();
    party = await join(broker.url);
    await party.subscribe(verdictTopicOf(SOURCE));
  });
  afterAll(async () => {
    await party?.end();
    for (const plant of plants) await plant.stop();
    await broker?.remove();
    await database?.drop();
  });

  const call = async (n: number): Promise<string> => {
    await party.publish(eventTopic(SOURCE), envelope(SOURCE, 1, n, "call.raised", { call: "help" }));
    const said = await party.until(`the verdict on ${n}`, ({ body }) => body.data.event.sequence === String(n));
    return said.body.data.status;
  };

  test("the second stands by and says whom to ask; it decides as soon as the first has stopped", async () => {
    const first = await start();
    await first.equipment("owners", "button", "1", "button");
    expect(await call(1)).toBe("accepted");

    const second = await start();
    // both are in one process, and where that stalls for longer than a lease the first stands by behind the second
    let last: unknown;
    const { standsBy, owns, owner } = await eventually(
      () => `one that is ready and stands by (the last said ${JSON.stringify(last)})`,
      async () => {
        for (const [one, other] of [
          [second, first],
          [first, second],
        ] as const) {
          const { status, body } = await one.ask("GET", "/health/ready");
          last = body;
          const name = status === 200 ? /"standing by; owned by (\S+) under term \d+"/.exec(JSON.stringify(body))?.[1] : undefined;
          if (name !== undefined) return { standsBy: one, owns: other, owner: name };
        }
        return null;
      },
    );
    const refused = await standsBy.ask("POST", "/v1/sites/owners/batches/none/commands", { command: "start" });
    expect(refused.status).toBe(503);
    expect(refused.body).toMatchObject({ code: "SYS_STANDING_BY", remedy: expect.stringContaining(owner) });
    expect(refused.headers.get("retry-after")).toBe("2");
    expect(
      (await standsBy.ask("POST", "/v1/events/dry-run", { topic: eventTopic(SOURCE), event: envelope(SOURCE, 1, 2, "call.raised", { call: "help" }) })).status,
    ).toBe(503);
    expect((await standsBy.ask("GET", "/v1/sources/owners/1/button")).body).toMatchObject({ through: "1" });

    await owns.service.stop();
    for (const n of [2, 3, 4]) expect(await call(n)).toBe("accepted");
    expect(await database.query("select distinct term::int from commits order by term")).toEqual([{ term: 1 }, { term: expect.any(Number) }]);
    expect((await database.query("select count(*)::int as n from facts"))[0]?.["n"]).toBe(4);
  });
});

/** How often each fault comes. */
const ROUNDS = Number(process.env["SIGNALBOX_TAKEOVERS"] ?? 1);
const LINE = Array.from({ length: 5 }, (_, i) => sourceOf("relay", "1", `unit-${i + 1}`));

interface Replica {
  readonly process: ChildProcess;
  readonly url: string;
  readonly report: string;
  readonly dead: Promise<void>;
}

describeWithMosquitto("an owner that is killed or stopped under load", () => {
  let database: TestDatabase;
  let broker: Mosquitto;
  let party: Party;
  const replicas = new Map<number, Replica>();

  beforeAll(async () => {
    database = await freshDatabase();
    broker = await startMosquitto();
    party = await join(broker.url, { clean: false, clientId: "owners-party" });
    await party.subscribe("site/relay/line/+/eq/+/verdict", "site/relay/line/+/eq/+/outcome", "site/relay/line/+/eq/+/cursor");
  });
  afterAll(async () => {
    for (const { process } of replicas.values()) process.kill("SIGKILL");
    await party?.end();
    await broker?.remove();
    await database?.drop();
  });

  async function startReplica(): Promise<Replica> {
    const report = joinPath(mkdtempSync(joinPath(tmpdir(), "signalbox-owners-")), "stopping.json");
    const started = await startWithFailpoints({ database, mqttUrl: broker.url, report });
    const replica = { ...started, report };
    const pid = started.process.pid ?? 0;
    replicas.set(pid, replica);
    void started.dead.then(() => replicas.delete(pid));
    return replica;
  }

  /** Who owns the shard by its lease: an owner's name holds its process. */
  async function owner(): Promise<{ replica: Replica; term: number }> {
    return eventually("an owner", async () => {
      const [row] = await database.query("select owner, term::int from shard_leases where shard = 'relay' and owner is not null");
      const replica = replicas.get(Number(String(row?.["owner"]).split(".").at(-2)));
      return replica === undefined ? null : { replica, term: Number(row?.["term"]) };
    });
  }

  const takenOver = (after: number): Promise<{ term: number; at: number }> =>
    eventually(`a commit after term ${after}`, async () => {
      const [row] = await database.query(
        `select term::int, (extract(epoch from committed_at) * 1000)::float8 as at from commits where site = 'relay' and term > ${after} order by first_position limit 1`,
      );
      return row === undefined ? null : { term: Number(row["term"]), at: Number(row["at"]) };
    });

  const committed = async (term: number): Promise<number> =>
    Number((await database.query(`select count(*)::int as n from commits where site = 'relay' and term = ${term}`))[0]?.["n"]);

  const FAULTS = {
    killed: async ({ process }: Replica): Promise<number> => {
      const at = Date.now();
      process.kill("SIGKILL");
      return at;
    },
    stopped: async ({ process }: Replica): Promise<number> => {
      const at = Date.now();
      process.kill("SIGSTOP");
      return at;
    },
    "stopped inside a commit": async ({ process, report }: Replica): Promise<number> => {
      rmSync(report, { force: true });
      process.send({ arm: "C12", nth: 1 });
      await eventually("the stop inside a commit", async () => (existsSync(report) && readFileSync(report, "utf8") !== "" ? true : null));
      return statSync(report).mtimeMs;
    },
    "ended cleanly": async ({ process }: Replica): Promise<number> => {
      const at = Date.now();
      process.kill("SIGTERM");
      return at;
    },
  } as const;
  // who was stopped and woke is there to take over from the one that is killed next
  const ORDER = ["stopped", "killed", "stopped inside a commit", "ended cleanly"] as const;

  test(
    `is followed by another, ${ROUNDS} time${ROUNDS === 1 ? "" : "s"} each way: nothing lost, doubled or out of order, and nothing written or said by who was followed`,
    async () => {
      const first = await startReplica();
      for (const source of LINE) {
        const equipment = source.split("/").pop();
        const answer = await fetch(`${first.url}/v1/sites/relay/registry/equipment/${equipment}`, {
          method: "PUT",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ equipment, line: "1", class: "unit" }),
        });
        expect(answer.status).toBeLessThan(300);
      }
      await startReplica();

      // devices that send once: each publish waits for the broker, and is never repeated
      let ended = false;
      let sent = 0;
      const load = (async () => {
        for (let n = 1; !ended; n += 1) {
          for (const source of LINE) await party.publish(eventTopic(source), envelope(source, 1, n, "call.raised", { call: "help" }));
          sent += LINE.length;
          await new Promise((resolve) => setTimeout(resolve, 40));
        }
      })();

      const seconds = new Map<string, number[]>();
      for (let round = 0; round < ROUNDS; round += 1) {
        for (const fault of ORDER) {
          const before = await owner();
          await eventually("some commits of the owner", async () => ((await committed(before.term)) >= 3 ? true : null));
          const at = await FAULTS[fault](before.replica);
          const after = await takenOver(before.term);
          seconds.set(fault, [...(seconds.get(fault) ?? []), (after.at - at) / 1000]);
          await eventually("some commits of the next owner", async () => ((await committed(after.term)) >= 3 ? true : null));

          if (fault === "killed" || fault === "ended cleanly") {
            await before.replica.dead;
            await startReplica();
          } else {
            before.replica.process.kill("SIGCONT");
            // it learns of it, and says who owns the shard now
            await eventually("the woken owner to stand by", async () => {
              const health = await (await fetch(`${before.replica.url}/health/ready`)).text();
              return health.includes(`standing by; owned by`) ? true : null;
            });
            expect((await owner()).replica).not.toBe(before.replica);
          }
        }
      }
      ended = true;
      await load;

      // every event on record, each decided once, in its source's order
      const told = (): Set<string> =>
        new Set(party.seen.filter(({ topic }) => topic.endsWith("/outcome")).map(({ topic, body }) => `${topic} ${body.causationid}`));
      await party.untilAll(`an outcome of each of ${sent} events`, () => told().size >= sent, 120_000);
      for (const source of LINE) {
        const outcomes = new Map<string, Seen["body"]>();
        for (const { topic, body } of party.seen) if (topic === `${source.slice(1)}/outcome` && !outcomes.has(body.sequence)) outcomes.set(body.sequence, body);
        const numbers = Array.from({ length: sent / LINE.length }, (_, i) => i + 1);
        expect([...outcomes.keys()].map(Number)).toEqual(numbers);
        expect([...outcomes.values()].map(({ causationid }) => Number(causationid.split("-").pop()))).toEqual(numbers);
      }
      // whatever was said twice was said in the same words
      const words = new Map<string, Seen["body"]>();
      for (const { topic, body } of party.seen) {
        if (topic.endsWith("/cursor")) continue;
        const key = `${topic} ${body.id}`;
        expect(body).toEqual(words.get(key) ?? body);
        words.set(key, body);
      }
      // cursors never went back
      const versions = new Map<string, number>();
      for (const { topic, body } of party.seen) {
        if (!topic.endsWith("/cursor")) continue;
        expect(body.data.version, topic).toBeGreaterThanOrEqual(versions.get(topic) ?? 0);
        versions.set(topic, body.data.version);
      }
      // no commit of a term lies behind one of a later term
      expect(
        await database.query(
          "select c.term from commits c where exists (select from commits l where l.site = c.site and l.term > c.term and l.first_position < c.first_position)",
        ),
      ).toEqual([]);

      const all = [...seconds.values()].flat();
      measured("owners.takeover", [...seconds].map(([fault, took]) => `${fault} ${took.map((s) => s.toFixed(2)).join(" ")} s`).join("; "));
      measured("owners.takeover.most", Math.max(...all).toFixed(2));
      measured("owners.events", `${sent} events sent, ${sent} facts`);
    },
    300_000 * ROUNDS,
  );
});
