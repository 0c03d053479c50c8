import type { InitializeHook, LoadHook } from "node:module";
import { VARIANTS, type Variant } from "./variants.ts";

let variant: Variant | undefined;

export const initialize: InitializeHook<{ readonly variant: string }> = async ({ variant: name }) => {
  variant = VARIANTS.find((known) => known.name === name);
  if (variant === undefined) throw new Error(`no variant is called ${name}; there are ${VARIANTS.map((known) => known.name).join(", ")}`);
};

export const load: LoadHook = async (url, context, nextLoad) => {
  const loaded = await nextLoad(url, context);
  const change = variant?.changes.find(({ module }) => url.endsWith(`/${module}`));
  if (variant === undefined || change === undefined) return loaded;
  let source = String(loaded.source);
  for (const [are, become] of change.lines) {
    if (source.split(are).length !== 2) throw new Error(`${variant.name} no longer fits ${change.module}: ${are}`);
    source = source.replace(are, () => become);
  }
  return { ...loaded, source };
};
