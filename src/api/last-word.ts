import type { CONFLICTS } from "../parties/conflicts.ts";
import type { RequestCode } from "./codes.ts";
import { Problem } from "./problem.ts";

// What the database refuses as the last word on what the service asked before: it was otherwise then, and changed on the way. It is answered as the service itself would have answered a moment later.

interface Refusal {
  readonly status: 403 | 409;
  readonly code: RequestCode | "QLT_EXCEPTION_CLOSED" | "SIG_MISSING";
  readonly detail: string;
  /** Of a party: what speaks against it. */
  readonly conflict?: keyof typeof CONFLICTS;
}

const ownDeed = (detail: string): Refusal => ({ status: 403, code: "SIGNATURE_OWN_DEED", detail });
const conflict = (of: keyof typeof CONFLICTS, detail: string): Refusal => ({ status: 409, code: "PARTY_CONFLICT", detail, conflict: of });
const unsigned: Refusal = { status: 409, code: "SIG_MISSING", detail: "This needs an electronic signature." };

/** By the names that migrations 0020, 0026 to 0028, 0030 to 0032 give to what they refuse. */
export const LAST_WORDS: Readonly<Record<string, Refusal>> = {
  nobody_judges_own_performance: ownDeed("You have performed yourself what this is about; another person does it."),
  reviewed_by_others: ownDeed("You have acted in this batch yourself; another person reviews it."),
  disposed_of_by_others: ownDeed("You have acted yourself in what the exception is about, or in what opened it; another person disposes of it."),
  nobody_decides_about_own_report: ownDeed("You have performed yourself what that event reports; another person decides about it."),
  nobody_amends_to_own_revision: ownDeed("You have registered that revision yourself; another person puts it in force."),
  reviewed_as_it_is: { status: 409, code: "REVIEW_STALE", detail: "The record of the batch has changed since the review was opened." },
  disposed_of_as_reviewed: {
    status: 409,
    code: "REVIEW_MISSING",
    detail: "The batch cannot be disposed of. Meanwhile its review is missing, open or stale, or it objected.",
  },
  disposed_of_once: { status: 409, code: "QLT_EXCEPTION_CLOSED", detail: "The exception is disposed of already." },
  disposed_of_by_signature: unsigned,
  taken_over_by_signature: unsigned,
  taken_over_by_others: ownDeed("You work with it yourself; another person takes it over."),
  key_stands_once: conflict("SHARED_KEY", "A signing key of the party was revoked, or is or was one of another party too."),
  one_name_one_party: conflict("SHARED_IDENTITY", "It is the name of a party of another site: at the broker they would be one."),
  answers_for_every_site: conflict("SHARED_SERVICE", "It is a service of another site too: what gives it more is for whoever answers for every site."),
  status_of_its_feed: { status: 403, code: "STATUS_OTHER_KIND", detail: "Meanwhile you are no feed of this kind any more." },
  confirmation_goes_on: { status: 409, code: "CONFIRMATION_GOES_BACK", detail: "Meanwhile more was confirmed." },
  confirmed_as_handed_out: { status: 409, code: "CONFIRMATION_TOO_FAR", detail: "Outcomes of this site are not handed out up to there in this generation." },
  one_service_one_credential: conflict("OTHER_CREDENTIAL", "It would have another credential at another site: issue one, which is for all of them."),
};

/** What the caller is told of what the database refused; null: it refused nothing, or nothing that is foreseen here. */
export function lastWord(error: unknown): Problem | null {
  if (!(error instanceof Error) || !("constraint" in error) || typeof error.constraint !== "string") return null;
  const refusal = Object.hasOwn(LAST_WORDS, error.constraint) ? LAST_WORDS[error.constraint] : undefined;
  if (refusal === undefined) return null;
  const { status, code, detail, conflict: of } = refusal;
  return new Problem(status, code, detail, of === undefined ? {} : { conflicts: [{ code: of, sentence: detail }] });
}
