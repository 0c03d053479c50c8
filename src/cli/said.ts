import type { ExitCode } from "./command.ts";

/** Something that a command found out and says in one sentence; it ends with exit 1, or 2 where the person has to ask differently. */
export class Said extends Error {
  readonly exit: ExitCode;
  constructor(message: string, exit: ExitCode = 1) {
    super(message);
    this.exit = exit;
  }
}
