/** Where a command writes: results to `out`, everything about the run itself to `err`, so that results can be piped. */
export interface Terminal {
  out(line: string): void;
  err(line: string): void;
  /** A line that replaces the one before it on a screen; nothing where there is no screen. */
  progress(line: string): void;
  readonly paint: Paint;
}

export type Colour = "red" | "green" | "yellow" | "blue" | "dim" | "bold";
export type Paint = (colour: Colour, text: string) => string;

const SEQUENCE: Readonly<Record<Colour, string>> = { red: "31", green: "32", yellow: "33", blue: "36", dim: "2", bold: "1" };

export const coloured: Paint = (colour, text) => (text === "" ? "" : `\u001b[${SEQUENCE[colour]}m${text}\u001b[0m`);
export const plain: Paint = (_, text) => text;

interface Screen {
  readonly isTTY?: boolean;
  write(text: string): boolean;
  hasColors?(): boolean;
}

/** Colours only on a screen that has them; progress only on a screen. */
export function terminalOn(out: Screen, err: Screen): Terminal {
  const live = err.isTTY === true;
  let showing = false;
  const clear = (): void => {
    if (showing) err.write("\r\u001b[2K");
    showing = false;
  };
  return {
    out(line) {
      clear();
      out.write(`${line}\n`);
    },
    err(line) {
      clear();
      err.write(`${line}\n`);
    },
    progress(line) {
      if (!live) return;
      err.write(`\r\u001b[2K${line}`);
      showing = true;
    },
    paint: out.isTTY === true && out.hasColors?.() === true ? coloured : plain,
  };
}
