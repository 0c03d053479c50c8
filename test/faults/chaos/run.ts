// One run: start everything, break it for so long, heal it, wait until it has settled, and check what was seen.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BLEND } from "../../support/blend.ts";
import { seeded } from "../../support/measure.ts";
import { check } from "../history/check.ts";
import type { Finding, History } from "../history/history.ts";
import { CONTESTED, startCallers } from "./callers.ts";
import { sleep } from "./fault.ts";
import { type Injected, inject, planFor } from "./faults.ts";
import type { Fleet } from "./fleet.ts";
import { LINES, startLoad, UNITS } from "./load.ts";
import { startObserver } from "./observer.ts";
import { type Rig, startRig } from "./rig.ts";
import { heal, settle } from "./settle.ts";
import { watchTakeOvers } from "./take-over.ts";

export interface RunOptions {
  readonly kind: "once" | "resend";
  readonly seed: number;
  readonly seconds: number;
  readonly eventsPerSecond: number;
  readonly replicas: number;
  readonly directory: string;
  /** Rejects when somebody wants it to end: then nothing is checked, and everything stopped. */
  readonly interrupted: Promise<never>;
  say(line: string): void;
}

export interface RunResult {
  readonly kind: "once" | "resend";
  readonly injected: readonly Injected[];
  readonly notRun: readonly string[];
  readonly findings: readonly Finding[];
  readonly sent: number;
  readonly acknowledgements: number;
  readonly verdicts: number;
  readonly outcomes: number;
  readonly reads: number;
  readonly lockOperations: number;
  readonly processes: number;
  readonly takeOverSeconds: readonly number[];
  readonly settledSeconds: number;
}

const SITE = "chaos";
const PROGRESS_MS = 10_000;
const SETTLE_MS = 150_000;

export async function run(options: RunOptions): Promise<RunResult> {
  mkdirSync(options.directory, { recursive: true });
  const random = seeded(options.seed);
  let processes = 0;
  const rig = await startRig({
    site: SITE,
    directory: options.directory,
    replicas: options.replicas,
    diskMegabytes: Math.round(500 + (options.seconds / 60) * 40),
    random,
    born: () => {
      processes += 1;
    },
  });
  try {
    return await Promise.race([breakAndCheck(options, rig, random, () => processes), options.interrupted]);
  } finally {
    await rig.close();
  }
}

async function breakAndCheck(options: RunOptions, rig: Rig, random: () => number, processes: () => number): Promise<RunResult> {
  const { kind, seconds, say } = options;
  await furnish(rig.fleet);
  const observer = await startObserver(rig.broker.url, SITE);
  const brokerForgot: { at: number }[] = [];
  const injected: Injected[] = [];
  const load = await startLoad({
    site: SITE,
    brokerUrl: () => `mqtt://127.0.0.1:${rig.devices.port}`,
    fleet: rig.fleet,
    observer,
    resends: kind === "resend",
    eventsPerSecond: options.eventsPerSecond,
    random,
  });
  const callers = startCallers({
    site: SITE,
    fleet: rig.fleet,
    random,
    streams: () => [...UNITS.map((unit) => `equipment/${unit}`), ...load.batches.map((batch) => `batch/${batch}`)],
  });
  const takeOvers = watchTakeOvers(rig);
  const plan = planFor({ brokerForgets: kind === "resend", smallDisk: rig.smallDisk !== null });
  const stop = { stop: false };
  const faults = inject(
    plan,
    { rig, random: seeded(options.seed + 1), takeOvers, forgot: () => void brokerForgot.push({ at: performance.now() }) },
    seeded(options.seed + 2),
    stop,
    (one) => void injected.push(one),
  );
  const began = performance.now();
  let told = began;
  while (performance.now() - began < seconds * 1000) {
    await sleep(250);
    if (performance.now() - told < PROGRESS_MS) continue;
    told += PROGRESS_MS;
    say(
      `${kind} ${Math.round((performance.now() - began) / 1000)} s: ${injected.filter(({ hit }) => hit).length} faults hit, ${processes()} processes started, ${load.sent.length} events sent, ${observer.heard.length} messages heard`,
    );
  }
  stop.stop = true;
  await faults;
  await heal(rig);
  say(`${kind}: the last fault is healed; waiting until everything has settled`);
  const healed = performance.now();
  await Promise.all([load.stop(), callers.stop()]);
  const batches = [...load.batches, ...callers.batches];
  const { end, open } = await settle({
    rig,
    sent: load.sent,
    senders: load.senders,
    resends: kind === "resend",
    observer,
    batches,
    observerMayLack: brokerForgot.length > 0,
    longestMs: SETTLE_MS,
  });
  const settledSeconds = (performance.now() - healed) / 1000;
  load.close();
  await observer.end();
  const history: History = {
    site: SITE,
    sent: load.sent,
    heard: observer.heard,
    acknowledged: rig.durability.acknowledged,
    reads: callers.reads,
    locks: callers.locks,
    end,
    brokerForgot,
    restores: [],
  };
  writeFileSync(join(options.directory, "history.json"), JSON.stringify(history));
  writeFileSync(join(options.directory, "injected.json"), JSON.stringify(injected, null, 1));
  const findings: Finding[] = [...check(history)];
  if (open !== "") findings.push({ invariant: "stuck", what: `${SETTLE_MS / 1000} s after the last fault: ${open}.`, at: null });
  return {
    kind,
    injected,
    notRun: rig.smallDisk === null ? ["disk full: no file system of its own may be mounted here"] : [],
    findings,
    sent: load.sent.length,
    acknowledgements: rig.durability.acknowledged.length,
    verdicts: end.verdicts.length,
    outcomes: end.outcomes.length,
    reads: callers.reads.length,
    lockOperations: callers.locks.length,
    processes: processes(),
    takeOverSeconds: takeOvers.seconds,
    settledSeconds,
  };
}

async function furnish(fleet: Fleet): Promise<void> {
  const put = async (path: string, body: unknown): Promise<void> => {
    const answer = await fleet.insist("PUT", path, body);
    if (answer === null || answer.status >= 300) throw new Error(`${path} was refused: ${JSON.stringify(answer)}`);
  };
  const equipment = [
    ...UNITS.map((unit) => [unit, "1", "unit"]),
    ...LINES.flatMap((line) => [
      [`scale-${line}`, line, "scale"],
      [`mixer-${line}`, line, "mixer"],
    ]),
    ...CONTESTED.map((mixer) => [mixer, "9", "mixer"]),
    ["scale-x", "9", "scale"],
  ];
  for (const [name, line, className] of equipment) await put(`/v1/sites/${SITE}/registry/equipment/${name}`, { equipment: name, line, class: className });
  await put(`/v1/registry/recipes/${BLEND.recipe}/revisions/${BLEND.revision}`, BLEND);
}
