import { failure } from "../../../src/db/failure.ts";
import { decode } from "../../../src/decode/decode.ts";
import { QUOTA } from "../../../src/ops/config.file.ts";
import { Shard } from "../../../src/shard.ts";
import { MAX_BYTES } from "../../support/model.ts";
import { SILENT } from "../../support/silent.ts";
import type { SimBroker } from "./broker.ts";
import { simPublisher, simSubscriber } from "./clients.ts";
import type { SimDatabase } from "./database.ts";
import { type Failpoints, publisherWithPoints, stagesWithPoints } from "./points.ts";
import type { SimProcess } from "./process.ts";

const nothing = (): void => {};
export interface ReplicaOptions {
  readonly site: string;
  readonly process: SimProcess;
  readonly database: SimDatabase;
  readonly broker: SimBroker;
  readonly points: Failpoints;
  readonly receiveMaximum: number;
}

/** One process of the service: the shard's own code, on a simulated database and broker. */
export function startReplica({ site, process, database, broker, points, receiveMaximum }: ReplicaOptions): Shard {
  const shard = new Shard({
    site,
    shard: site,
    prefix: "",
    verdicts: "all",
    quota: QUOTA,
    time: process,
    ...SILENT,
    lease: { owner: process.name, ...database.lease(process) },
    stages: (term, session) =>
      stagesWithPoints(
        points,
        {
          machines: database.model.machines,
          maxBytes: MAX_BYTES,
          decode: (delivery) => decode(delivery, { prefix: "", maxBytes: MAX_BYTES }),
          read: (request) => database.read(process, request),
          commit: (group, document) => database.commit(process, term, group, document),
          find: (group) => database.find(process, group),
          failure,
          ...session,
          now: () => database.clock,
          silentFor: () => database.silentFor(process),
          beat: () => database.beat(process),
          due: () => database.due(process),
        },
        () => database.perhaps(process),
      ),
    relayStore: (term) => database.relayStore(process, term),
    createSubscriber: (wishes) => simSubscriber(process, broker, { ...wishes, receiveMaximum }),
    createPublisher: (wishes) => publisherWithPoints(points, simPublisher(process, broker, wishes)),
    onCommitted: nothing,
    onHalted: nothing,
  });
  void shard.start();
  return shard;
}
