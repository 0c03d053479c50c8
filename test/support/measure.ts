import { appendFileSync } from "node:fs";

/** Notes a figure under a name, for whoever asked for figures: `npm run show` does. */
export function measured(name: string, figure: string): void {
  const file = process.env["SIGNALBOX_FIGURES"];
  if (file !== undefined) appendFileSync(file, `${JSON.stringify({ name, figure })}\n`);
}

/** A small seeded generator (mulberry32): the same seed, the same numbers in [0, 1). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** The seed of this run: given, or by the clock; printed where a test fails. */
export const SEED = Number(process.env["SEED"] ?? Date.now() % 1_000_000_007);

export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i -= 1) {
    const j = Math.floor(random() * (i + 1));
    const a = out[i];
    const b = out[j];
    if (a !== undefined && b !== undefined) {
      out[i] = b;
      out[j] = a;
    }
  }
  return out;
}
