// The generator, a process of its own: sends what is planned, at the time at which it is planned, whatever becomes of it. It waits for nothing but the broker's own flow control.
import { generate } from "mqtt-packet";
import { answering } from "./answering.ts";
import { type Delivery, flood, payloadOf, plan, TIME, topicOf } from "./plan.ts";
import { eachPacket, join, now, PUBACK, type Wire } from "./wire.ts";

const CONNECTIONS = 4;
const TIME_PREFIX = Buffer.from('"time":"');

/** Packets that are ready to be sent over one connection, back to back. */
interface Lane {
  readonly wire: Wire;
  bytes: Buffer;
  /** Of each packet: where it ends, where its time stands, and which event it is. */
  ends: number[];
  times: number[];
  events: number[];
  /** Packets that are due, sent, acknowledged; since the packets were made. */
  due: number;
  sent: number;
  acknowledged: number;
  messageId: number;
}

const [port = "", what = "null"] = process.argv.slice(2);
const sending = JSON.parse(what);
const deliveries = sending === null ? flood() : plan(sending);
const lanes: Lane[] = [];
for (let n = 0; n < CONNECTIONS; n += 1) {
  const wire = await join(Number(port), `bench-${sending === null ? "flooder" : "generator"}-${n}`);
  const lane: Lane = { wire, bytes: Buffer.alloc(0), ends: [], times: [], events: [], due: 0, sent: 0, acknowledged: 0, messageId: 0 };
  lanes.push(lane);
  wire.socket.on(
    "data",
    eachPacket((type, bytes, from, to) => {
      if (type !== PUBACK) return;
      // 0x10: nobody subscribes, which is no refusal
      if (to - from > 2 && (bytes[from + 2] ?? 0) >= 0x80) refused += 1;
      lane.acknowledged += 1;
      send(lane);
    }),
  );
}

/** The deliveries that are ready, in the order of sending, and the lane of each. */
let ready: Delivery[] = [];
let order: Lane[] = [];
/** How many of them may be sent. */
let released = 0;
/** What the broker did not take. */
let refused = 0;
/** When each event was sent first: a copy bears the same time. */
const firstSent: string[] = [];

/** A source's deliveries go over one connection: a broker keeps their order, and that of their cell. */
const laneOf = ({ cell }: Delivery): Lane | undefined => lanes[cell % CONNECTIONS];

/** Makes the next so many ready; what was ready and not sent comes first. */
function encode(count: number): void {
  ready = ready.slice(released);
  while (ready.length < count) ready.push(deliveries.next().value);
  released = 0;
  const packets = new Map<Lane, Buffer[]>(lanes.map((lane) => [lane, []]));
  for (const lane of lanes) Object.assign(lane, { ends: [], times: [], events: [], due: 0, sent: 0, acknowledged: 0 });
  order = [];
  for (const delivery of ready) {
    const lane = laneOf(delivery);
    if (lane === undefined) throw new Error("a cell has no lane");
    lane.messageId = (lane.messageId % 65_535) + 1;
    const packet = generate(
      {
        cmd: "publish",
        topic: topicOf(delivery),
        payload: payloadOf(delivery),
        qos: 1,
        dup: false,
        retain: false,
        messageId: lane.messageId,
        properties: { contentType: "application/cloudevents+json" },
      },
      { protocolVersion: 5 },
    );
    const begins = lane.ends.at(-1) ?? 0;
    packets.get(lane)?.push(packet);
    lane.ends.push(begins + packet.length);
    lane.times.push(begins + packet.indexOf(TIME_PREFIX) + TIME_PREFIX.length);
    lane.events.push(delivery.event);
    order.push(lane);
  }
  for (const lane of lanes) lane.bytes = Buffer.concat(packets.get(lane) ?? []);
}

let stamp = { at: 0, text: TIME };
function stamped(): string {
  const at = Date.now();
  if (stamp.at !== at) stamp = { at, text: new Date(at).toISOString() };
  return stamp.text;
}

/** Sends what is due, as far as the broker takes it. */
function send(lane: Lane): void {
  const to = Math.min(lane.due, lane.acknowledged + lane.wire.receiveMaximum);
  if (to <= lane.sent) return;
  const time = stamped();
  for (let i = lane.sent; i < to; i += 1) {
    const event = lane.events[i] ?? 0;
    firstSent[event] ??= time;
    lane.bytes.write(firstSent[event] ?? time, lane.times[i] ?? 0, "latin1");
  }
  lane.wire.socket.write(lane.bytes.subarray(lane.sent === 0 ? 0 : lane.ends[lane.sent - 1], lane.ends[to - 1]));
  lane.sent = to;
}

function release(count: number): void {
  const to = Math.min(count, order.length);
  for (; released < to; released += 1) {
    const lane = order[released];
    if (lane !== undefined) lane.due += 1;
  }
  for (const lane of lanes) send(lane);
}

/** Where events are farther apart than this each is sent when it is due; a timer alone is late by up to a millisecond and more, which would count as the service's. */
const APART_MS = 20;
/** For so long before it is due nothing is waited for. */
const ATTENTIVE_MS = 2;
/** Calls off what is to be sent next. */
let callOff = (): void => {};
let began = 0;

/** Runs something in so many milliseconds. */
function after(ms: number, run: () => void): void {
  if (ms <= 0) {
    const turn = setImmediate(run);
    callOff = () => clearImmediate(turn);
  } else {
    const timer = setTimeout(run, ms);
    callOff = () => clearTimeout(timer);
  }
}

answering({
  /** Makes so many packets. */
  encode({ count = 0 }) {
    encode(count);
    return { ready: ready.length };
  },
  /** From now on so many a second of what is ready and not sent, until all of it is. */
  open({ rate = 0 }) {
    began = now();
    const before = released;
    const tick = (): void => {
      // the first is due at once
      release(before + 1 + Math.floor(((now() - began) / 1000) * rate));
      if (released < order.length) after(1000 / rate < APART_MS ? 1 : began + ((released - before) / rate) * 1000 - ATTENTIVE_MS - now(), tick);
    };
    tick();
    return { began };
  },
  /** So many are to be sent in all, at once. */
  upTo({ count = 0 }) {
    release(count);
    return {};
  },
  /** Sends no more of what is ready. */
  stop() {
    callOff();
    return {};
  },
  counts: () => ({ released, sent: sum((lane) => lane.sent), acknowledged: sum((lane) => lane.acknowledged), refused }),
});

function sum(of: (lane: Lane) => number): number {
  return lanes.reduce((all, lane) => all + of(lane), 0);
}
