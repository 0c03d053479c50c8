import type { DriveStages } from "../../src/drive.ts";

/** Lets something happen in a running service between deciding and committing a group. */
export interface BeforeCommit {
  stages(stages: DriveStages): DriveStages;
  /** Before the next group whose document says this is committed, once. */
  next(says: string, happens: () => Promise<void>): void;
  /** Whether it is still to happen. */
  readonly pending: boolean;
}

export function beforeCommit(): BeforeCommit {
  let awaited: { readonly says: string; readonly happens: () => Promise<void> } | null = null;
  return {
    stages: (stages) => ({
      ...stages,
      async commit(group, document) {
        const now = awaited !== null && document.document.includes(awaited.says) ? awaited : null;
        if (now !== null) {
          awaited = null;
          await now.happens();
        }
        return stages.commit(group, document);
      },
    }),
    next(says, happens) {
      awaited = { says, happens };
    },
    get pending() {
      return awaited !== null;
    },
  };
}
