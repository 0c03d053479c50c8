import { Decimal } from "decimal.js";
import type { EvidenceSlot, Recipe } from "./recipe.ts";

// Limits and parameters, computed as decimals, never as floats. Enough digits that one rounding, the last one, decides: texts have at most 34 of them.
const Exact = Decimal.clone({ precision: 200, rounding: Decimal.ROUND_HALF_UP });

/** How many places a decimal's text has: three in "12.500". */
export const placesOf = (text: string): number => text.split(".")[1]?.length ?? 0;

/** Rounded half up (away from zero) to places, which it keeps: "12.4375" to 3 is "12.438". */
export const roundedTo = (value: string, places: number): string => plain(new Exact(value), places);

const plain = (value: Decimal, places: number): string => {
  const text = value.toFixed(places, Decimal.ROUND_HALF_UP);
  return /^-[0.]+$/.test(text) ? text.slice(1) : text;
};

/** The value in force of each parameter, in its unit, with the places of the recipe's default. */
export type Parameters = Readonly<Record<string, { readonly value: string; readonly unit: string }>>;

export type ParametersInForce =
  | { readonly kind: "in-range"; readonly parameters: Parameters }
  /** One sentence: which parameter leaves its permitted range. */
  | { readonly kind: "outside"; readonly reason: string };

/** The parameters of a batch of a quantity (a positive decimal, in the recipe's unit): scaled where the recipe says so, then held against their permitted range. */
export function parametersFor(recipe: Pick<Recipe, "quantity" | "parameters">, quantity: string): ParametersInForce {
  const parameters: [string, { value: string; unit: string }][] = [];
  for (const [name, parameter] of Object.entries(recipe.parameters)) {
    const exact = parameter.scaled ? new Exact(parameter.default).times(quantity).div(recipe.quantity.value) : new Exact(parameter.default);
    const value = plain(exact, placesOf(parameter.default));
    const { min, max, unit } = parameter;
    if ((min !== undefined && new Exact(value).lt(min)) || (max !== undefined && new Exact(value).gt(max))) {
      const range = [min === undefined ? "" : `at least ${min}`, max === undefined ? "" : `at most ${max}`].filter((part) => part !== "").join(" and ");
      return { kind: "outside", reason: `For ${quantity} ${recipe.quantity.unit}, parameter ${name} is ${value} ${unit}; permitted is ${range} ${unit}.` };
    }
    parameters.push([name, { value, unit }]);
  }
  return { kind: "in-range", parameters: Object.fromEntries(parameters) };
}

/** Limits as they apply: each with the places to which a measured value is rounded before it is compared; `places` is the larger number of the two. */
export interface Limits {
  readonly low?: string;
  readonly high?: string;
  readonly places: number;
}

type LimitedSlot = Pick<EvidenceSlot, "evidence" | "limits">;

const computed = new WeakMap<Parameters, WeakMap<LimitedSlot, Limits>>();

/** The limits of an evidence slot for these parameters. Throws where a slot names a parameter that is not there: the recipe's check refuses that. */
export function limitsFor(slot: LimitedSlot, parameters: Parameters): Limits {
  const ofBatch = computed.get(parameters) ?? new WeakMap<LimitedSlot, Limits>();
  computed.set(parameters, ofBatch);
  const known = ofBatch.get(slot) ?? compute(slot, parameters);
  ofBatch.set(slot, known);
  return known;
}

function compute(slot: LimitedSlot, parameters: Parameters): Limits {
  const { low, high, parameter, tolerance } = slot.limits ?? {};
  if (parameter === undefined) {
    return { ...(low === undefined ? {} : { low }), ...(high === undefined ? {} : { high }), places: Math.max(placesOf(low ?? ""), placesOf(high ?? "")) };
  }
  const inForce = Object.hasOwn(parameters, parameter) ? parameters[parameter] : undefined;
  if (inForce === undefined) throw new Error(`evidence ${slot.evidence} is limited by parameter ${parameter}, which is not there`);
  const places = placesOf(inForce.value);
  const value = new Exact(inForce.value);
  const width = widthOf(value, tolerance, inForce.unit);
  if (width === null) throw new Error(`the tolerance "${tolerance}" of evidence ${slot.evidence} is neither a share nor an amount in ${inForce.unit}`);
  return { low: plain(value.minus(width), places), high: plain(value.plus(width), places), places };
}

const TOLERANCE = /^(\d{1,30}(?:\.\d{1,30})?)(?: ?([!-~]+))?$/;

/** The parts of a tolerance: "0.5 %", "0.05 kg", or "0.05" in the parameter's unit. null when the text is none. */
export function parseTolerance(text: string): { readonly amount: string; readonly unit: string | null } | null {
  const parts = TOLERANCE.exec(text);
  return parts?.[1] === undefined ? null : { amount: parts[1], unit: parts[2] ?? null };
}

function widthOf(value: Decimal, tolerance: string | undefined, unit: string): Decimal | null {
  if (tolerance === undefined) return new Exact(0);
  const parts = parseTolerance(tolerance);
  if (parts === null) return null;
  if (parts.unit === "%") return value.abs().times(parts.amount).div(100);
  return parts.unit === null || parts.unit === unit ? new Exact(parts.amount) : null;
}

export interface Measured {
  readonly within: boolean;
  /** The limits it was held against; null where there is none. */
  readonly low: string | null;
  readonly high: string | null;
  /** The value rounded to the limits' places. */
  readonly rounded: string;
}

/** Holds a measured value (a decimal as text) against limits: rounded half up to each limit's places, then compared. A value on the limit is within. */
export function withinLimits(value: string, limits: Limits): Measured {
  const { low, high, places } = limits;
  const exact = new Exact(value);
  const below = low !== undefined && exact.toDecimalPlaces(placesOf(low)).lt(low);
  const above = high !== undefined && exact.toDecimalPlaces(placesOf(high)).gt(high);
  return { within: !below && !above, low: low ?? null, high: high ?? null, rounded: plain(exact, places) };
}
