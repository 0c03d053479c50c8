// The service with failpoints: the only entry point that has them. Told to arm a point, it kills itself there, the n-th time it comes by, and leaves a note of where and
// with how many deliveries unacknowledged. C0 to C12 are the crash points of the engineering programme; at C12 it is stopped, and may be let go on. Told to, it also has its wall clock jump.
import { writeFileSync } from "node:fs";
import { startService } from "../../dist/main.js";
import { loadConfig } from "../../dist/ops/config.file.js";
import { createLog } from "../../dist/ops/log.js";

let armed = null;
let jumpedMs = 0;
const OwnDate = Date;
globalThis.Date = class extends OwnDate {
  constructor(...given) {
    if (given.length === 0) super(OwnDate.now() + jumpedMs);
    else super(...given);
  }
  static now() {
    return OwnDate.now() + jumpedMs;
  }
};

let inFlight = () => 0;

// A point counts only while at least one delivery is unacknowledged.
function reached(point) {
  if (armed === null || armed.point !== point || inFlight() === 0) return;
  armed.nth -= 1;
  if (armed.nth > 0) return;
  die(point);
}

function die(point) {
  writeFileSync(process.env.FAILPOINT_REPORT, JSON.stringify({ point, unacknowledged: inFlight() }));
  armed = null;
  process.kill(process.pid, point === "C12" ? "SIGSTOP" : "SIGKILL");
}

const soon = () => new Promise((resolve) => setImmediate(resolve));

const replaced = {
  stages: (stages) => {
    inFlight = stages.unacknowledged;
    return withFailpoints(stages);
  },
  publisher: withFailpointsAround,
};

function withFailpoints(stages) {
  return {
    ...stages,
    decode(delivery) {
      reached("C0");
      const decoded = stages.decode(delivery);
      reached("C1");
      return decoded;
    },
    async read(request) {
      const world = await stages.read(request);
      reached("C2");
      return world;
    },
    async commit(group, document) {
      const hasEvents = document.raws.some((raw) => raw !== null);
      const releases = document.document.includes('"waiting_gone"');
      const willDie = (hasEvents && (armed?.point === "C3" || armed?.point === "C12")) || (releases && armed?.point === "C11");
      const committing = stages.commit(group, document);
      if (willDie) {
        // the query is on its way; whether it will be committed is the database's to say
        committing.catch(() => {});
        await soon();
        await soon();
        if (hasEvents) reached("C3");
        if (hasEvents) reached("C12");
        if (releases) reached("C11");
      }
      const committed = await committing;
      if (hasEvents) reached("C4");
      return committed;
    },
    acknowledge(slots) {
      reached("C5");
      if (armed?.point === "C6" && armed.nth === 1 && slots.length > 1) {
        stages.acknowledge(slots.slice(0, Math.ceil(slots.length / 2)));
        setImmediate(() => die("C6"));
        return;
      }
      if (armed?.point === "C6") armed.nth = Math.max(1, armed.nth - 1);
      stages.acknowledge(slots);
      reached("C7");
    },
  };
}

function withFailpointsAround(publisher) {
  return Object.create(publisher, {
    connected: { get: () => publisher.connected },
    publish: {
      value: async (message) => {
        const outcome = message.topic.endsWith("/outcome");
        if (outcome) reached("C8");
        const published = publisher.publish(message);
        if (outcome && armed?.point === "C9") {
          published.catch(() => {});
          await soon();
          reached("C9");
        }
        await published;
        if (outcome) reached("C10");
      },
    },
    start: { value: () => publisher.start() },
    stop: { value: () => publisher.stop() },
  });
}

const config = loadConfig(process.env);
const service = await startService(config, createLog({ level: config.logLevel }), replaced);
process.on("message", ({ arm, nth, clock }) => {
  if (clock !== undefined) jumpedMs = clock;
  else armed = arm === null ? null : { point: arm, nth };
});
// nobody to report to: whoever started it is gone
process.on("disconnect", () => process.exit(1));
void service.done.then((how) => {
  if (how === "failed") process.exit(1);
});
process.on("SIGTERM", () => service.stop().then(() => process.exit(0)));
process.send({ ready: service.url });
