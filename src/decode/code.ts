/** Whose desk a code lands on. */
export type Owner = "integrator" | "operator" | "quality" | "engineer" | "operations" | "security";

/** What the sender does next: nothing, wait, send the same event again later, send a new event, ask a person. */
export type Next = "none" | "wait" | "resend" | "correct" | "ask";

/** One line of meaning for a reader in quality, who owns it, and whether the same event may be sent again. Append-only: a code never changes its meaning. */
export interface CodeMeaning {
  readonly meaning: string;
  readonly owner: Owner;
  readonly next: Next;
  /** One sentence: what to do about it. */
  readonly remedy: string;
}

export type CodeTable<C extends string> = Readonly<Record<C, CodeMeaning>>;
