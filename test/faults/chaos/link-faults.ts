// What befalls the connections: every toxic on every link, and every fault of one packet where a network could bring it about.
import { between, type Fault, type Scene, sleep } from "./fault.ts";
import type { FaultProxy } from "./proxy.ts";
import type { Direction, PacketFault, Toxic } from "./toxics.ts";

interface LinkName {
  readonly label: string;
  readonly name: string;
  proxy(scene: Scene): FaultProxy;
}

const inUse = (scene: Scene, pick: (slot: Scene["rig"]["slots"][number]) => FaultProxy, label: string): FaultProxy => {
  const [first, ...others] = scene.rig.slots.map(pick);
  if (first === undefined) throw new Error("a rig has places for processes");
  return others.find((proxy) => proxy.connections(label) > first.connections(label)) ?? first;
};

const LINKS: readonly LinkName[] = [
  { label: "device", name: "devices and broker", proxy: ({ rig }) => rig.devices },
  { label: "sub", name: "subscriber and broker", proxy: (scene) => inUse(scene, ({ mqtt }) => mqtt, "sub") },
  { label: "pub", name: "publisher and broker", proxy: (scene) => inUse(scene, ({ mqtt }) => mqtt, "pub") },
  { label: "postgres", name: "service and Postgres", proxy: (scene) => inUse(scene, ({ postgres }) => postgres, "postgres") },
];

type Shape = Omit<Toxic, "label">;
const TOXICS: readonly { readonly name: string; shape(random: () => number): Shape; readonly forMs: readonly [number, number] }[] = [
  {
    name: "latency and jitter",
    shape: (random) => ({ direction: "both", latencyMs: between(random, 20, 300), jitterMs: between(random, 0, 300) }),
    forMs: [1_000, 4_000],
  },
  { name: "bandwidth", shape: (random) => ({ direction: "both", bytesPerSecond: between(random, 2_000, 40_000) }), forMs: [1_000, 4_000] },
  { name: "half-open black hole", shape: () => ({ direction: "both", lose: true }), forMs: [1_000, 6_000] },
  { name: "loss upwards", shape: () => ({ direction: "up", lose: true }), forMs: [1_000, 6_000] },
  { name: "loss downwards", shape: () => ({ direction: "down", lose: true }), forMs: [1_000, 6_000] },
  { name: "held, then all at once", shape: () => ({ direction: "both", hold: true }), forMs: [1_000, 6_000] },
];

const toxicFaults = LINKS.flatMap((link): Fault[] => [
  ...TOXICS.map(
    ({ name, shape, forMs }): Fault => ({
      name: `${link.name}: ${name}`,
      to: link.name,
      weight: 1,
      inject: async (scene) => {
        const proxy = link.proxy(scene);
        const heal = proxy.add({ label: link.label, ...shape(scene.random) });
        const before = proxy.connections(link.label);
        await sleep(between(scene.random, ...forMs));
        const met = before > 0 || proxy.connections(link.label) > 0;
        heal();
        return met;
      },
    }),
  ),
  {
    name: `${link.name}: reset`,
    to: link.name,
    weight: 1,
    inject: async (scene) => link.proxy(scene).reset(link.label) > 0,
  },
  {
    name: `${link.name}: slow close`,
    to: link.name,
    weight: 1,
    inject: async (scene) => {
      const proxy = link.proxy(scene);
      const heal = proxy.add({ label: link.label, direction: "both", closeDelayMs: between(scene.random, 500, 3_000) });
      const met = proxy.cut(link.label, "up", between(scene.random, 0, 200)) > 0;
      await sleep(3_000);
      heal();
      return met;
    },
  },
  ...(["up", "down"] as const).map(
    (direction): Fault => ({
      name: `${link.name}: cut inside ${direction === "up" ? "what is sent" : "what is received"}`,
      to: link.name,
      weight: 1,
      inject: async (scene) => link.proxy(scene).cut(link.label, direction, between(scene.random, 1, 400)) > 0,
    }),
  ),
]);

type Does = PacketFault["does"]["kind"];
// In one TCP stream nothing is lost or passes what was sent before it: on the way from the publisher that would break an order that the network keeps. Packets from the broker
// may be missing or late there, as brokers may repeat and reorder what is not acknowledged.
const PACKETS: readonly { readonly label: string; readonly direction: Direction; readonly packet: PacketFault["packet"]; readonly does: readonly Does[] }[] = [
  { label: "sub", direction: "down", packet: "PUBLISH", does: ["drop", "duplicate", "delay", "cut"] },
  { label: "sub", direction: "up", packet: "PUBACK", does: ["drop", "duplicate", "delay", "cut"] },
  { label: "pub", direction: "up", packet: "PUBLISH", does: ["duplicate", "cut"] },
  { label: "pub", direction: "down", packet: "PUBACK", does: ["drop", "duplicate", "delay", "cut"] },
  { label: "device", direction: "up", packet: "PUBLISH", does: ["drop", "duplicate", "cut"] },
  { label: "device", direction: "down", packet: "PUBACK", does: ["drop", "duplicate", "delay", "cut"] },
];

const packetFaults = PACKETS.flatMap(({ label, direction, packet, does }) =>
  does.flatMap((kind): Fault[] => {
    const link = LINKS.find((each) => each.label === label);
    if (link === undefined) return [];
    return [
      {
        name: `${link.name}: ${kind} a ${packet}`,
        to: link.name,
        weight: 1,
        inject: async (scene) => {
          const proxy = link.proxy(scene);
          const armed = proxy.arm({ label, direction, packet, nth: between(scene.random, 1, 20), does: how(kind, scene.random) });
          for (let n = 0; n < 50 && !armed.hit(); n += 1) await sleep(100);
          armed.disarm();
          // what is missing comes again with the next connection only
          if (kind === "drop" && armed.hit()) {
            await sleep(between(scene.random, 200, 2_000));
            proxy.reset(label);
          }
          return armed.hit();
        },
      },
    ];
  }),
);

function how(kind: Does, random: () => number): PacketFault["does"] {
  if (kind === "delay") return { kind, ms: between(random, 50, 1_500) };
  if (kind === "cut") return { kind, after: between(random, 0, 40) };
  return { kind };
}

export const LINK_FAULTS: readonly Fault[] = [...toxicFaults, ...packetFaults];
