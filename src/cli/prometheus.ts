export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The samples of a Prometheus text; lines that are none are left out. */
export function samplesOf(text: string): Sample[] {
  return text.split("\n").flatMap((line): Sample[] => {
    const [, name, labels = "", value] = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line) ?? [];
    if (name === undefined || value === undefined || line.startsWith("#")) return [];
    const number = value === "+Inf" ? Number.POSITIVE_INFINITY : Number(value);
    const pairs = [...labels.matchAll(/([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"/g)].map(([, key = "", text = ""]): [string, string] => [
      key,
      text.replace(/\\(.)/g, "$1"),
    ]);
    return Number.isNaN(number) ? [] : [{ name, labels: Object.fromEntries(pairs), value: number }];
  });
}
