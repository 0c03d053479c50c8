import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { limitsFor, parametersFor, parseTolerance, placesOf, roundedTo, withinLimits } from "../../../src/registry/limits.ts";
import { parseRecipe } from "../../../src/registry/recipe.ts";
import { blend } from "./blend.ts";

const recipe = (parameters: Record<string, unknown>, quantity = "25.000") =>
  parseRecipe(blend({ parameters, quantity: { value: quantity, unit: "kg" }, steps: [{ step: "mix" }] }));
const limited = (limits: Record<string, string>) => ({ evidence: "net-weight", limits });
const salt = (value: string) => ({ salt: { value, unit: "kg" } });

/** A decimal as text, and the same number as an integer of its last place: an oracle without decimals. */
const decimal = (max: bigint) =>
  fc
    .record({ units: fc.bigInt({ min: 0n, max }), places: fc.integer({ min: 0, max: 6 }) })
    .map(({ units, places }) => ({ units, places, text: written(units, places) }));
function written(units: bigint, places: number): string {
  const digits = (units < 0n ? -units : units).toString().padStart(places + 1, "0");
  return `${units < 0n ? "-" : ""}${digits.slice(0, digits.length - places)}${places === 0 ? "" : `.${digits.slice(-places)}`}`;
}
/** numerator / denominator, half up, both not negative. */
const halfUp = (numerator: bigint, denominator: bigint): bigint => (2n * numerator + denominator) / (2n * denominator);
const ten = (places: number): bigint => 10n ** BigInt(places);

describe("a parameter", () => {
  const scaled = { salt: { unit: "kg", default: "12.500", min: "10.000", max: "15.000", scaled: true } };

  test("that is scaled grows with the batch, and keeps its places", () => {
    expect(parametersFor(recipe(scaled), "25.000")).toEqual({ kind: "in-range", parameters: salt("12.500") });
    expect(parametersFor(recipe(scaled), "20")).toEqual({ kind: "in-range", parameters: salt("10.000") });
    expect(parametersFor(recipe(scaled), "30.000")).toEqual({ kind: "in-range", parameters: salt("15.000") });
  });

  test("that is not scaled stays as it is", () => {
    expect(parametersFor(recipe({ salt: { unit: "kg", default: "12.500" } }), "1")).toEqual({ kind: "in-range", parameters: salt("12.500") });
  });

  test("is refused where scaling takes it out of its permitted range, in words", () => {
    expect(parametersFor(recipe(scaled), "30.002")).toMatchObject({
      kind: "outside",
      reason: "For 30.002 kg, parameter salt is 15.001 kg; permitted is at least 10.000 and at most 15.000 kg.",
    });
    expect(parametersFor(recipe(scaled), "19.998")).toMatchObject({ kind: "outside" });
  });

  test("is held against its range as rounded, since that value is the one in force", () => {
    expect(parametersFor(recipe(scaled), "30.0009")).toEqual({ kind: "in-range", parameters: salt("15.000") });
  });

  test("scales exactly, rounded half up once, whatever the numbers", () => {
    fc.assert(
      fc.property(decimal(10n ** 12n), decimal(10n ** 9n), decimal(10n ** 9n), (value, batch, whole) => {
        fc.pre(batch.units > 0n && whole.units > 0n);
        const said = parametersFor(recipe({ salt: { unit: "kg", default: value.text, scaled: true } }, whole.text), batch.text);
        const units = halfUp(value.units * batch.units * ten(whole.places), whole.units * ten(batch.places));
        expect(said).toEqual({ kind: "in-range", parameters: salt(written(units, value.places)) });
      }),
    );
  });

  test("is the recipe's own for the recipe's own quantity", () => {
    fc.assert(
      fc.property(decimal(10n ** 15n), decimal(10n ** 9n), (value, whole) => {
        fc.pre(whole.units > 0n);
        expect(parametersFor(recipe({ salt: { unit: "kg", default: value.text, scaled: true } }, whole.text), whole.text)).toEqual({
          kind: "in-range",
          parameters: salt(value.text),
        });
      }),
    );
  });
});

describe("limits", () => {
  test("of 12.500 kg, 0.5 % are 12.438 to 12.563", () => {
    expect(limitsFor(limited({ parameter: "salt", tolerance: "0.5 %" }), salt("12.500"))).toEqual({ low: "12.438", high: "12.563", places: 3 });
  });

  test("of an amount, in the parameter's unit or with it, lie that far to each side", () => {
    const wide = { low: "12.450", high: "12.550", places: 3 };
    for (const tolerance of ["0.05 kg", "0.05kg", "0.05", "0.050 kg"])
      expect(limitsFor(limited({ parameter: "salt", tolerance }), salt("12.500"))).toEqual(wide);
  });

  test("of a parameter alone are the parameter", () => {
    expect(limitsFor(limited({ parameter: "salt" }), salt("12.500"))).toEqual({ low: "12.500", high: "12.500", places: 3 });
  });

  test("of a share of a negative parameter have the lower one below", () => {
    expect(limitsFor(limited({ parameter: "salt", tolerance: "10 %" }), salt("-20.0"))).toEqual({ low: "-22.0", high: "-18.0", places: 1 });
  });

  test("as they stand keep their own places", () => {
    expect(limitsFor(limited({ low: "20", high: "35.5" }), {})).toEqual({ low: "20", high: "35.5", places: 1 });
    expect(limitsFor(limited({ high: "35" }), {})).toEqual({ high: "35", places: 0 });
  });

  test("of a parameter that is not there are not made up, not even by a name that every object has", () => {
    expect(() => limitsFor(limited({ parameter: "sugar" }), salt("1"))).toThrow("sugar");
    expect(() => limitsFor(limited({ parameter: "constructor" }), salt("1"))).toThrow("constructor");
    expect(() => limitsFor(limited({ parameter: "salt", tolerance: "5 g" }), salt("1"))).toThrow("5 g");
  });

  test("of a share are rounded half up, once, whatever the numbers", () => {
    fc.assert(
      fc.property(decimal(10n ** 12n), decimal(10n ** 7n), (value, share) => {
        const said = limitsFor(limited({ parameter: "salt", tolerance: `${share.text} %` }), salt(value.text));
        const whole = 100n * ten(share.places);
        const low = value.units * (whole - share.units);
        const units = low < 0n ? -halfUp(-low, whole) : halfUp(low, whole);
        expect(said).toEqual({
          low: written(units, value.places),
          high: written(halfUp(value.units * (whole + share.units), whole), value.places),
          places: value.places,
        });
      }),
    );
  });
});

describe("a measured value", () => {
  const narrow = { low: "12.438", high: "12.563", places: 3 };

  test.each([
    ["12.503", true, "12.503"],
    ["12.438", true, "12.438"],
    ["12.563", true, "12.563"],
    ["12.4375", true, "12.438"],
    ["12.4374999", false, "12.437"],
    ["12.5634", true, "12.563"],
    ["12.5635", false, "12.564"],
    ["12.5", true, "12.500"],
    ["-12.500", false, "-12.500"],
  ])("of %s against 12.438 to 12.563 is within: %s, as %s", (value, within, rounded) => {
    expect(withinLimits(value, narrow)).toEqual({ within, low: "12.438", high: "12.563", rounded });
  });

  test("is rounded to each limit's own places", () => {
    const limits = limitsFor(limited({ low: "20.00", high: "35" }), {});
    expect(withinLimits("35.4", limits).within).toBe(true);
    expect(withinLimits("35.5", limits).within).toBe(false);
    expect(withinLimits("19.995", limits).within).toBe(true);
    expect(withinLimits("19.994", limits).within).toBe(false);
  });

  test("has no upper limit where none is named", () => {
    expect(withinLimits("1000000000000000000000000000000000", { low: "0", places: 0 })).toMatchObject({ within: true, low: "0", high: null });
  });

  test("is within exactly when its rounding is, whatever the numbers", () => {
    fc.assert(
      fc.property(decimal(10n ** 9n), decimal(10n ** 9n), decimal(10n ** 9n), (value, a, b) => {
        const rounds = ({ places }: { places: number }): bigint => halfUp(value.units * ten(places), ten(value.places));
        const said = withinLimits(value.text, { low: a.text, high: b.text, places: Math.max(a.places, b.places) });
        expect(said.within).toBe(rounds(a) >= a.units && rounds(b) <= b.units);
      }),
    );
  });
});

test("rounding half up goes away from zero, keeps the places asked for, and never leaves a minus before nothing", () => {
  expect(["0.5", "1.5", "2.5", "-0.5", "-1.5", "0.49"].map((value) => roundedTo(value, 0))).toEqual(["1", "2", "3", "-1", "-2", "0"]);
  expect(roundedTo("-0.004", 2)).toBe("0.00");
  expect(roundedTo("7", 3)).toBe("7.000");
  expect([placesOf("12.500"), placesOf("12"), placesOf("")]).toEqual([3, 0, 0]);
});

test.each(["", "%", "0,5 %", "-0.5 %", "0.5  %", "five", "1 2 kg", ".5 %", "0.5 % "])("%j is no tolerance", (text) => {
  expect(parseTolerance(text)).toBeNull();
});
