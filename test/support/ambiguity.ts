// Whether a regular expression can take exponentially long: it can exactly where its automaton has two ways of reading one text from a state back to that same state
// (Weber & Seidl 1991), since a backtracking engine tries them all. Positions are the automaton's states (Glushkov); two ways that differ in where they loop alone, as in (a*)*,
// are seen as the same step made by two loops. Counts such as {2,40} are taken for loops, which is on the safe side.

interface Step {
  readonly from: number;
  readonly to: number;
}
interface Part {
  readonly nullable: boolean;
  readonly first: readonly number[];
  readonly last: readonly number[];
}
const EMPTY: Part = { nullable: true, first: [], last: [] };

/** Enough of Unicode for two classes that share a character to share one of these. */
const SAMPLE: readonly string[] = [
  ...Array.from({ length: 0x180 }, (_, code) => String.fromCodePoint(code)),
  ..."\u0660\u0412\u202e\u2028\u2029\u4e00\ufeff\uffff",
  "\ud800",
  "\udc00",
  "\u{1f600}",
];

class Reader {
  readonly atoms: ReadonlySet<number>[] = [];
  readonly steps: Step[] = [];
  readonly #source: string;
  readonly #flags: string;
  #at = 0;

  constructor(source: string, flags: string) {
    this.#source = source;
    this.#flags = flags.replace(/[dgmy]/g, "");
    this.#alternatives();
    if (this.#at < source.length) throw new Error(`not read: ${source.slice(this.#at)}`);
  }

  #alternatives(): Part {
    let whole = this.#sequence();
    while (this.#take("|")) {
      const next = this.#sequence();
      whole = { nullable: whole.nullable || next.nullable, first: [...whole.first, ...next.first], last: [...whole.last, ...next.last] };
    }
    return whole;
  }

  #sequence(): Part {
    let whole = EMPTY;
    while (this.#at < this.#source.length && !"|)".includes(this.#source[this.#at] ?? "")) {
      const next = this.#quantified();
      this.#join(whole.last, next.first);
      whole = {
        nullable: whole.nullable && next.nullable,
        first: whole.nullable ? [...whole.first, ...next.first] : whole.first,
        last: next.nullable ? [...whole.last, ...next.last] : next.last,
      };
    }
    return whole;
  }

  #quantified(): Part {
    const one = this.#term();
    const [text, least, , most] = /^(?:\*|\+|\?|\{(\d+)(,(\d*))?\})\??/.exec(this.#source.slice(this.#at)) ?? [];
    if (text === undefined) return one;
    this.#at += text.length;
    const nullable = one.nullable || "*?".includes(text[0] ?? "") || least === "0";
    const once = text[0] === "?" || (text[0] === "{" && (most ?? least) === "1");
    if (!once) this.#join(one.last, one.first);
    return { ...one, nullable };
  }

  #term(): Part {
    const rest = this.#source.slice(this.#at);
    const group = /^\((?:\?(?::|=|!|<=|<!|<[A-Za-z]\w*>|[ims-]+:))?/.exec(rest)?.[0];
    if (group !== undefined) {
      this.#at += group.length;
      const inner = this.#alternatives();
      if (!this.#take(")")) throw new Error("a group does not end");
      // what is looked at takes no text; its own loops are on record in the steps
      return /[=!]$/.test(group) ? EMPTY : inner;
    }
    const edge = /^(?:[\^$]|\\[bB])/.exec(rest)?.[0];
    if (edge !== undefined) {
      this.#at += edge.length;
      return EMPTY;
    }
    if (/^\\(?:[1-9]|k<)/.test(rest)) throw new Error("it refers back to what was matched");
    const atom =
      /^(?:\[\^?(?:\\[\s\S]|[^\]\\])*\]|\\(?:u\{[^}]*\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[pP]\{[^}]*\}|c[A-Za-z]|[\s\S])|[\s\S])/u.exec(rest)?.[0] ?? "";
    this.#at += atom.length;
    const pattern = new RegExp(`^(?:${atom})$`, this.#flags);
    this.atoms.push(new Set(SAMPLE.flatMap((text, i) => (pattern.test(text) ? [i] : []))));
    const position = [this.atoms.length - 1];
    return { nullable: false, first: position, last: position };
  }

  #join(from: readonly number[], to: readonly number[]): void {
    for (const a of from) for (const b of to) this.steps.push({ from: a, to: b });
  }

  #take(character: string): boolean {
    if (this.#source[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }
}

/** Whether the expression can take exponentially long on some text. Throws on what it cannot judge. */
export function isExplosive(source: string, flags = ""): boolean {
  const { atoms, steps } = new Reader(source, flags);
  const next = atoms.map((_, from) => [...new Set(steps.filter((step) => step.from === from).map(({ to }) => to))]);
  const reach = (start: number): ReadonlySet<number> => {
    const seen = new Set<number>();
    for (const todo = [start]; todo.length > 0; ) {
      for (const to of next[todo.pop() ?? 0] ?? []) {
        if (seen.has(to)) continue;
        seen.add(to);
        todo.push(to);
      }
    }
    return seen;
  };
  // the same step, made by two loops
  const twice = steps.filter((step, i) => steps.some((other, k) => k < i && other.from === step.from && other.to === step.to));
  if (twice.some(({ from, to }) => to === from || reach(to).has(from))) return true;
  // two ways at once: from one state into two, and back into the one
  const both = (a: number, b: number): readonly (readonly [number, number])[] =>
    (next[a] ?? []).flatMap((x) => (next[b] ?? []).filter((y) => shares(atoms[x], atoms[y])).map((y) => [x, y] as const));
  for (const start of atoms.keys()) {
    const from = new Map<string, readonly [number, number]>();
    const todo: (readonly [number, number])[] = [[start, start]];
    for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
      for (const pair of both(...at)) {
        if (from.has(pair.join())) continue;
        from.set(pair.join(), pair);
        todo.push(pair);
      }
    }
    for (const [a, b] of from.values()) {
      if (a === b) continue;
      const back = new Set<string>();
      const home: (readonly [number, number])[] = [[a, b]];
      for (let at = home.pop(); at !== undefined; at = home.pop()) {
        for (const pair of both(...at)) {
          if (pair[0] === start && pair[1] === start) return true;
          if (back.has(pair.join())) continue;
          back.add(pair.join());
          home.push(pair);
        }
      }
    }
  }
  return false;
}

const shares = (a: ReadonlySet<number> | undefined, b: ReadonlySet<number> | undefined): boolean =>
  a !== undefined && b !== undefined && [...a].some((one) => b.has(one));
