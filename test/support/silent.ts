import type { ShardPorts } from "../../src/shard.ts";

// What a shard tells people and counters, told to nobody.

const nothing = (): void => {};

export const SILENT: Pick<ShardPorts, "log" | "meter" | "withSpan"> = {
  log: { fatal: nothing, error: nothing, warn: nothing, info: nothing, debug: nothing },
  meter: {
    received: nothing,
    ignored: nothing,
    leftOut: nothing,
    verdict: nothing,
    committed: nothing,
    outage: nothing,
    tick: nothing,
    published: nothing,
    brokerConnected: nothing,
    sessionLost: nothing,
    ownership: nothing,
  },
  withSpan: (_name, _attributes, _from, work) => work({ traceparent: null, note: nothing }),
};
