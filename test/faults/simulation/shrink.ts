import type { Plan } from "./plan.ts";

/** Makes a failing plan smaller, part by part, as long as it fails: faults first, then heartbeats, then orders, then what devices send. Tries at most so many runs. */
export async function shrink(plan: Plan, failing: (candidate: Plan) => Promise<boolean>, most = 300): Promise<Plan> {
  let smallest = plan;
  let left = most;
  const fails = (candidate: Plan): Promise<boolean> => {
    left -= 1;
    return failing(candidate);
  };
  for (const part of ["faults", "beats", "orders", "sends"] as const) {
    for (let size = Math.ceil(smallest[part].length / 2); size >= 1 && left > 0; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let from = 0; from < smallest[part].length && left > 0; ) {
        const without = smallest[part].filter((_, n) => n < from || n >= from + size);
        const candidate = { ...smallest, [part]: without };
        if (without.length < smallest[part].length && (await fails(candidate))) smallest = candidate;
        else from += size;
      }
    }
  }
  return smallest;
}

/** A plan in words: what goes wrong, what is ordered, what is sent. */
export function inWords(plan: Plan): string {
  const { resends, overDelivers, queueLimit, receiveMaximum, signs, shows } = plan;
  return [
    `seed ${plan.seed}: devices ${resends ? "resend" : "send once"}, Receive Maximum ${receiveMaximum}${overDelivers ? " (not kept)" : ""}, queue ${queueLimit}, ${shows === "checkpoint" ? "only what is signed is shown" : signs ? "signed" : "not signed"}`,
    ...plan.faults.map(({ at, kind, ms, n }) => `  ${at} ms: ${kind}${ms > 0 ? ` for ${ms} ms` : ""} (${n})`),
    ...plan.beats.map(({ at, source, epoch, sequence }) => `  ${at} ms: heartbeat of ${source} at ${epoch}.${sequence}`),
    ...plan.orders.map(({ at, command }) => `  ${at} ms: ${JSON.stringify(command)}`),
    ...plan.sends.map(({ at, id, type, payload }) => `  ${at} ms: ${id} ${type} ${payload}`),
  ].join("\n");
}
