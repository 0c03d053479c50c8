import { actTime } from "./device-time.ts";
import type { Command, EventInHand, Signal } from "./signal.ts";
import { claimsOf } from "./signed.ts";
import { type WorldData, windowKey } from "./world-data.ts";
import { askFor, EVERY_STEP, emptyRequest, GOING_ON, type WorldRequest } from "./world-request.ts";

/** What a group needs of the world, as far as its signals tell by themselves. What turns out to be missing is read when the judge asks for it. */
export function requestFor(signals: readonly Signal[]): WorldRequest {
  const request = emptyRequest();
  for (const signal of signals) {
    if (signal.kind === "event") {
      const inHand = claimsOf(signal);
      const { claimed } = inHand;
      if (signal.branchSource !== undefined) request.sources.add(signal.branchSource);
      if (claimed.source === null) continue;
      request.sources.add(claimed.source);
      if (claimed.equipment !== null) request.equipment.add(claimed.equipment);
      const hash = claimed.hash;
      if (hash !== null) askFor(request.ids, claimed.source, hash);
      if (claimed.epoch !== null && claimed.sequence !== null) askFor(request.numbers, claimed.source, `${claimed.epoch}.${claimed.sequence}`);
      if (claimed.batch !== null) request.batches.add(claimed.batch);
      evidenceFor(inHand, request);
      const { said, receivedAt } = inHand;
      if (said.kind === "event" && said.event.type === "step.complete" && claimed.batch !== null) request.sourcesOf.add(claimed.batch);
      if (said.kind === "event")
        for (const at of [receivedAt, actTime(said.event, receivedAt)?.at]) if (at !== undefined) askFor(request.stationsAt, claimed.source, at);
    } else if (signal.kind === "diag") {
      request.sources.add(signal.diagnosis.source);
    } else if (signal.kind === "command") {
      ofCommand(signal.command, request);
      if (signal.key !== null) request.keys.add(signal.key.key);
    } else if (signal.tick.tick === "patience") {
      request.deferrals.add(signal.tick.event);
    } else if (signal.tick.tick === "gap" || signal.tick.tick === "drain" || signal.tick.tick === "expiry") {
      request.sources.add(signal.tick.source);
    } else if (signal.tick.tick === "again") {
      for (const key of signal.tick.waitsFor) {
        const name = key.slice(key.indexOf(":") + 1);
        if (key.startsWith("batch:")) request.batches.add(name);
        else if (key.startsWith("equipment:")) request.equipment.add(name);
        else request.sources.add(name);
      }
    }
  }
  return request;
}

/** What the events that were read with the world need of it, asked for at once rather than one by one; whether there was anything. */
export function widen(request: WorldRequest, world: WorldData): boolean {
  const size = (): number =>
    [request.batches, request.equipment, request.sources, request.performances, ...request.evidence.values()].reduce((sum, names) => sum + names.size, 0);
  const before = size();
  const add = (event: EventInHand | null): void => {
    if (event === null) return;
    const { batch, source, equipment } = event.claimed;
    if (batch !== null && !world.batches.has(batch)) request.batches.add(batch);
    if (source !== null && !world.sources.has(source)) request.sources.add(source);
    if (equipment !== null && !world.sourcesOfEquipment.has(equipment)) request.equipment.add(equipment);
  };
  let windows = 0;
  for (const name of request.sources) {
    const source = world.sources.get(name);
    if (source == null || source.waitingCount === 0) continue;
    const epochs = [...(request.numbers.get(name) ?? [])].map((key) => BigInt(key.slice(0, key.indexOf("."))));
    const newer = epochs.find((epoch) => source.epoch === null || epoch > source.epoch);
    const epoch = source.epoch ?? newer;
    if (newer !== undefined && !request.waitingNumbers.has(name)) {
      request.waitingNumbers.add(name);
      windows += 1;
    }
    for (const wanted of new Set([epoch, newer])) {
      if (wanted === undefined || request.waitingNext.has(windowKey(source, wanted))) continue;
      const after = wanted === source.epoch ? source.through : 0n;
      request.waitingNext.set(windowKey(source, wanted), { source: name, incarnation: source.incarnation, epoch: wanted, after });
      windows += 1;
    }
  }
  for (const { event } of [...world.waitingNext.values()].flatMap(({ events }) => events)) {
    add(event);
    evidenceFor(event, request);
  }
  for (const deferral of world.deferrals.values()) add(deferral?.event ?? null);
  // a copy of what waits is performed by whoever performed that
  for (const known of world.ids.values()) if (known != null && known.waitsAt !== null) request.performances.add(known.position);
  return windows > 0 || size() > before;
}

/** Of the step that an event names, or of all that it may be about. */
function evidenceFor(event: EventInHand | null, request: WorldRequest): void {
  const { batch = null, step = null } = event?.claimed ?? {};
  if (batch !== null) askFor(request.evidence, batch, step ?? GOING_ON);
}

function ofCommand(command: Command, request: WorldRequest): void {
  switch (command.kind) {
    case "batch.create":
      wholeBatch(request, command.batch);
      request.jobOrders.add(command.jobOrder);
      request.recipes.add(`${command.recipe}@${command.revision}`);
      for (const equipment of Object.values(command.equipment)) request.equipment.add(equipment);
      return;
    case "batch.update":
      wholeBatch(request, command.batch);
      for (const equipment of Object.values(command.equipment ?? {})) request.equipment.add(equipment);
      return;
    case "batch.command":
    case "step.command":
      wholeBatch(request, command.batch);
      return;
    case "gap.resolve":
    case "source.succession":
      request.sources.add(command.source);
      return;
    case "quarantine.resolve":
      request.quarantine.add(command.event);
      return;
    case "exception.resolve":
      request.exceptions.add(command.position);
      return;
    case "lock.takeover":
      request.equipment.add(command.equipment);
      return;
  }
}

/** A batch of which anything may be looked at: whoever looks for more reads no second time. */
export function wholeBatch(request: WorldRequest, batch: string): void {
  request.batches.add(batch);
  request.sourcesOf.add(batch);
  askFor(request.evidence, batch, EVERY_STEP);
}
