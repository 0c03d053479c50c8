import mqtt, { type MqttClient } from "mqtt";
import type { Party } from "../../src/parties/party.ts";
import { mayDo } from "../../src/parties/topics.ts";

/** What a broker is tried with: who may connect as what, and two who may do everything. */
export interface Tried {
  readonly url: string;
  readonly protocol: 4 | 5;
  readonly passwords: ReadonlyMap<string, string>;
  readonly writer: { readonly user: string; readonly password: string };
  readonly observer: { readonly user: string; readonly password: string };
}

/** One cell in which the broker did something else than the registry says. */
export interface Disagreement {
  readonly user: string;
  readonly direction: "publish" | "subscribe";
  readonly topic: string;
  readonly may: boolean;
  readonly did: string;
}

export const connectAs = (url: string, protocol: 4 | 5, user: string, password: string, more: mqtt.IClientOptions = {}): Promise<MqttClient> =>
  mqtt.connectAsync(url, { protocolVersion: protocol, username: user, password, clean: true, reconnectPeriod: 0, connectTimeout: 10_000, ...more });

/** Every party, in both directions, on every topic. Publishing is judged by what a privileged observer is given, subscribing by what the party itself is given; never by an acknowledgement. */
export async function tryMatrix(
  tried: Tried,
  parties: readonly Party[],
  prefix: string,
  topics: readonly string[],
): Promise<{ readonly cells: number; readonly disagreements: readonly Disagreement[] }> {
  const disagreements: Disagreement[] = [];
  const users = [...tried.passwords.keys()];
  const observer = await connectAs(tried.url, tried.protocol, tried.observer.user, tried.observer.password);
  const writer = await connectAs(tried.url, tried.protocol, tried.writer.user, tried.writer.password);
  const seen = collect(observer);
  await observer.subscribeAsync("#", { qos: 1 });
  let marks = 0;
  /** Resolves when the observer has been given everything that was published before. */
  const settled = async (): Promise<void> => {
    marks += 1;
    const mark = `mark-${marks}`;
    await writer.publishAsync("marks", mark, { qos: 1 });
    await seen.until((_, payload) => payload === mark);
  };

  for (const user of users) {
    const password = tried.passwords.get(user) ?? "";
    // one connection for each topic: a broker may end that of whoever does what it must not
    const answers = new Map<string, string>();
    let client = await connectAs(tried.url, tried.protocol, user, password);
    for (const topic of topics) {
      if (!client.connected) client = await connectAs(tried.url, tried.protocol, user, password);
      answers.set(topic, await publishOn(client, topic, `${user} ${topic}`));
    }
    await client.endAsync(true);
    await settled();
    for (const topic of topics) {
      const may = mayDo(parties, prefix, user, "publish", topic);
      const arrived = seen.all.some((one) => one.topic === topic && one.payload === `${user} ${topic}`);
      const answer = answers.get(topic) ?? "";
      // an MQTT 5 broker says no; on 3.1.1 it can only end the connection, or keep silent
      if (arrived !== may || (tried.protocol === 5 && (answer === "done") !== may))
        disagreements.push({ user, direction: "publish", topic, may, did: `${arrived ? "handed it on" : "did not hand it on"}, and answered: ${answer}` });
    }
  }

  for (const user of users) {
    const client = await connectAs(tried.url, tried.protocol, user, tried.passwords.get(user) ?? "");
    const given = collect(client);
    // what is granted is no evidence (a broker may grant everything and filter later), and what is refused is none either
    for (const filter of ["#", "+/#", ...topics]) await client.subscribeAsync(filter, { qos: 1 }).catch(() => undefined);
    const permitted = topics.filter((topic) => mayDo(parties, prefix, user, "subscribe", topic));
    // what it may hear comes last, so that everything it must not hear would have come before
    const inOrder = [...topics.filter((topic) => !permitted.includes(topic)), ...permitted];
    const round = `to ${user}`;
    for (const topic of inOrder) await writer.publishAsync(topic, round, { qos: 1 });
    await settled();
    const last = permitted.at(-1);
    if (last !== undefined) await given.until((topic, payload) => topic === last && payload === round).catch(() => undefined);
    await client.subscribeAsync("a/last/word", { qos: 0 }).catch(() => undefined);
    for (const topic of topics) {
      const may = permitted.includes(topic);
      const got = given.all.some((one) => one.topic === topic && one.payload === round);
      if (got !== may) disagreements.push({ user, direction: "subscribe", topic, may, did: got ? "gave it" : "did not give it" });
    }
    const strange = given.all.filter(({ topic }) => !topics.includes(topic) && !mayDo(parties, prefix, user, "subscribe", topic));
    for (const { topic } of strange) disagreements.push({ user, direction: "subscribe", topic, may: false, did: "gave it" });
    await client.endAsync(true);
  }
  await Promise.all([observer.endAsync(true), writer.endAsync(true)]);
  return { cells: users.length * topics.length * 2, disagreements };
}

interface Collected {
  readonly all: { readonly topic: string; readonly payload: string; readonly retain: boolean }[];
  until(fits: (topic: string, payload: string) => boolean): Promise<void>;
}

export function collect(client: MqttClient): Collected {
  const all: Collected["all"] = [];
  const waiting = new Set<() => void>();
  client.on("message", (topic, payload, { retain }) => {
    all.push({ topic, payload: payload.toString(), retain });
    for (const look of waiting) look();
  });
  return {
    all,
    until: (fits) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error("it did not come within 15 s")), 15_000);
        const look = (): void => {
          if (!all.some(({ topic, payload }) => fits(topic, payload))) return;
          clearTimeout(timer);
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
  };
}

/** What came of a publish: done, the broker's refusal, or the end of the connection. */
function publishOn(client: MqttClient, topic: string, payload: string): Promise<string> {
  return new Promise((resolve) => {
    const ended = (): void => resolve("the connection ended");
    const settle = (answer: string): void => {
      client.off("close", ended);
      resolve(answer);
    };
    client.once("close", ended);
    client.publish(topic, payload, { qos: 1 }, (error) => settle(error === undefined || error === null ? "done" : `refused with ${Object(error).code}`));
  });
}

/** A user that the broker lets in and the registry does not know, beside one of each kind. */
export const everyUser = (parties: readonly Party[]): readonly string[] => [...parties.map(({ party }) => party), "stranger"];
