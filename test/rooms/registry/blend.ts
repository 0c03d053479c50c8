/** The contract's recipe, with fields changed. */
export const blend = (change: Record<string, unknown> = {}): Record<string, unknown> => ({
  recipe: "blend",
  revision: 3,
  product: "P-100",
  quantity: { value: "25.000", unit: "kg" },
  stateMachines: { batch: "batch/governed@1", step: "step/governed@1" },
  parameters: { salt: { unit: "kg", default: "12.500", min: "10.000", max: "15.000", scaled: true } },
  steps: [weigh(), mix()],
  ...change,
});

export const weigh = (change: Record<string, unknown> = {}): Record<string, unknown> => ({
  step: "weigh",
  patience: "PT5S",
  equipment: [{ role: "scale", class: "scale", locked: "step" }],
  evidence: [netWeight()],
  ...change,
});

export const mix = (change: Record<string, unknown> = {}): Record<string, unknown> => ({
  step: "blend",
  after: ["weigh"],
  equipment: [{ role: "mixer", class: "mixer", locked: "batch" }],
  duration: { min: "PT2S" },
  evidence: [{ evidence: "end-temperature", kind: "measurement", unit: "Cel", count: 1, limits: { low: "20", high: "35" } }],
  ...change,
});

export const netWeight = (change: Record<string, unknown> = {}): Record<string, unknown> => ({
  evidence: "net-weight",
  kind: "measurement",
  unit: "kg",
  count: 1,
  limits: { parameter: "salt", tolerance: "0.5 %" },
  ...change,
});
