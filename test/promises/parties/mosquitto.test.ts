// Promise: a mosquitto with the compiled ACL lets each party do exactly what the registry says, and nobody else anything.
// Attack: real clients, on MQTT 5 and on 3.1.1, try every topic of the plant in both directions; retained messages, last wills, whoever has no name, a wrong password, a party that the
// file no longer names. What a broker acknowledges is not believed: a privileged observer sees what was handed on.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import mqtt from "mqtt";
import { afterAll, beforeAll, expect, test } from "vitest";
import { issueCredential, mosquittoPasswords } from "../../../src/parties/credentials.ts";
import { driftBetween, mosquittoAcl } from "../../../src/parties/mosquitto-acl.ts";
import { measured } from "../../support/measure.ts";
import { describeWithMosquitto, type Mosquitto, startMosquitto } from "../../support/mosquitto.ts";
import { everyTopic, PARTIES, SITE } from "../../support/parties.ts";
import { collect, connectAs, everyUser, type Tried, tryMatrix } from "../../support/party-matrix.ts";

describeWithMosquitto("a mosquitto with the compiled ACL", () => {
  const home = mkdtempSync(join(tmpdir(), "signalbox-acl-"));
  const [aclFile, passwordFile] = [join(home, "acl"), join(home, "passwords")];
  const prefix = "plant/";
  const issued = new Map([...everyUser(PARTIES), "test-writer", "test-observer"].map((user) => [user, issueCredential()]));
  const passwordOf = (user: string): string => issued.get(user)?.password ?? "";
  let broker: Mosquitto;

  /** The compiled file, byte by byte, with two users of the test's own behind it. */
  const install = (parties = PARTIES): void =>
    writeFileSync(aclFile, `${mosquittoAcl(parties, prefix, "rtm1@7").text}user test-writer\ntopic write #\nuser test-observer\ntopic read #\n`);
  const tried = (protocol: 4 | 5): Tried => ({
    url: broker.url,
    protocol,
    passwords: new Map(everyUser(PARTIES).map((user) => [user, passwordOf(user)])),
    writer: { user: "test-writer", password: passwordOf("test-writer") },
    observer: { user: "test-observer", password: passwordOf("test-observer") },
  });

  beforeAll(async () => {
    install();
    writeFileSync(passwordFile, mosquittoPasswords([...issued].map(([party, { verifier }]) => ({ party, verifier }))));
    broker = await startMosquitto(["allow_anonymous false", `acl_file ${aclFile}`, `password_file ${passwordFile}`]);
  });
  afterAll(async () => {
    await broker?.remove();
    rmSync(home, { recursive: true, force: true });
  });

  test.each([5, 4] as const)(
    "each party does exactly what the registry says, over MQTT %s",
    async (protocol) => {
      const { cells, disagreements } = await tryMatrix(tried(protocol), PARTIES, prefix, everyTopic(prefix));
      expect(disagreements).toEqual([]);
      expect(cells).toBeGreaterThan(500);
      measured(`parties.mosquitto.${protocol}`, `${cells} cells of party, topic and direction, each tried and as registered`);
    },
    120_000,
  );

  test("who has no name, or another's password, is not let in", async () => {
    for (const [user, password] of [
      ["scale-1", passwordOf("mixer-1")],
      ["scale-1", ""],
      ["nobody", "nothing"],
    ] as const)
      await expect(connectAs(broker.url, 5, user, password)).rejects.toMatchObject({ code: expect.any(Number) });
    await expect(mqtt.connectAsync(broker.url, { protocolVersion: 5, reconnectPeriod: 0 })).rejects.toMatchObject({ code: 135 });
  });

  test("what is retained, and a last will, go no further than what is published", async () => {
    const own = `${prefix}site/${SITE}/line/4/eq/scale-1`;
    const writer = await connectAs(broker.url, 5, "test-writer", passwordOf("test-writer"));
    for (const topic of [`${own}/verdict`, `${prefix}site/${SITE}/outcome`]) await writer.publishAsync(topic, "kept", { qos: 1, retain: true });
    const scale = await connectAs(broker.url, 5, "scale-1", passwordOf("scale-1"));
    const given = collect(scale);
    await scale.subscribeAsync("#", { qos: 1 });
    await given.until((topic) => topic === `${own}/verdict`);
    expect(given.all.map(({ topic }) => topic)).toEqual([`${own}/verdict`]);
    await scale.endAsync(true);

    const observer = await connectAs(broker.url, 5, "test-observer", passwordOf("test-observer"));
    const seen = collect(observer);
    await observer.subscribeAsync("#", { qos: 1, rh: 2 });
    for (const topic of [`${prefix}site/${SITE}/line/5/eq/mixer-1/event`, `${own}/diag`]) {
      const dying = await connectAs(broker.url, 5, "scale-1", passwordOf("scale-1"), { will: { topic, payload: Buffer.from("gone"), qos: 1 } });
      // without a farewell
      dying.stream.destroy();
    }
    await seen.until((topic, payload) => topic === `${own}/diag` && payload === "gone");
    await writer.publishAsync("marks", "after", { qos: 1 });
    await seen.until((_, payload) => payload === "after");
    expect(seen.all.filter(({ payload }) => payload === "gone").map(({ topic }) => topic)).toEqual([`${own}/diag`]);
    await Promise.all([writer.endAsync(true), observer.endAsync(true)]);
  });

  test("what is no drift makes no difference to it", async () => {
    const compiled = readFileSync(aclFile, "utf8");
    const spaced = compiled.replaceAll("topic read ", "  topic   read  ").replace("topic write ", "topic  write   ").replaceAll("\n", "  \r\n");
    expect(driftBetween(compiled, spaced)).toEqual({ more: [], less: [] });
    writeFileSync(aclFile, spaced);
    await broker.reload();
    const { disagreements } = await tryMatrix({ ...tried(5), passwords: new Map([["scale-1", passwordOf("scale-1")]]) }, PARTIES, prefix, everyTopic(prefix));
    expect(disagreements).toEqual([]);
  });

  test("whom the file does not name any more can do nothing, from its reloading on", async () => {
    install(PARTIES.filter(({ party }) => party !== "scale-1"));
    await broker.reload();
    const { disagreements } = await tryMatrix({ ...tried(5), passwords: new Map([["scale-1", passwordOf("scale-1")]]) }, [], prefix, everyTopic(prefix));
    expect(disagreements).toEqual([]);
    install();
    await broker.reload();
  });
});
