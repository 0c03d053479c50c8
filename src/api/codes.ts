import { OIDC_CODES, type OidcCode } from "../access/oidc-codes.ts";
import type { CodeTable } from "../decode/code.ts";

export type RequestCode =
  | "NOT_FOUND"
  | "REQUEST_UNAUTHENTICATED"
  | "PER_NOT_AUTHORISED"
  | "ACCESS_REFUSED"
  | "SIGNATURE_USED"
  | "SIGNATURE_EXPIRED"
  | "SIGNATURE_RECORD_CHANGED"
  | "SIGNATURE_NOT_PROVEN"
  | "SIGNATURE_OWN_DEED"
  | OidcCode
  | "REQUEST_INVALID"
  | "REQUEST_TOO_LARGE"
  | "REQUEST_MEDIA_TYPE"
  | "REQUEST_TOO_MANY"
  | "REQUEST_STALE"
  | "REQUEST_KEY_REUSED"
  | "REQUEST_RESTORED"
  | "RECORD_DISPOSED"
  | "CONFIRMATION_GOES_BACK"
  | "CONFIRMATION_TOO_FAR"
  | "REV_PUBLISHED"
  | "REV_IN_FORCE"
  | "REV_OTHER"
  | "REVIEW_MISSING"
  | "REVIEW_STALE"
  | "REVIEW_CONCLUDED"
  | "REVIEW_OTHER"
  | "AUDIT_NOT_SIGNED"
  | "AUDIT_ALTERED"
  | "EXPORT_TOO_LARGE"
  | "PARTY_CONFLICT"
  | "PARTY_NOT_BY_YOU"
  | "PARTY_STATE"
  | "STATUS_OTHER_KIND"
  | "STATION_TAKEN"
  | "STATION_STATE"
  | "SYS_UNAVAILABLE"
  | "SYS_STANDING_BY"
  | "SYS_INTERNAL";

/** Codes of problems that are about a request over REST and never about an event. Append-only, like the codes of the rooms. */
export const REQUEST_CODES: CodeTable<RequestCode> = {
  NOT_FOUND: { meaning: "There is no such thing.", owner: "integrator", next: "correct", remedy: "Check the names in the path." },
  REQUEST_UNAUTHENTICATED: {
    meaning: "Nobody knows who asks.",
    owner: "integrator",
    next: "correct",
    remedy: "Sign in at POST /v1/sign-ins, or ask with a machine's API key.",
  },
  PER_NOT_AUTHORISED: {
    meaning: "Whoever asks may not do this.",
    owner: "operations",
    next: "ask",
    remedy: "Ask an administrator for the role that GET /v1/rights names.",
  },
  ACCESS_REFUSED: {
    meaning: "This cannot be so of people, machines and their roles.",
    owner: "operations",
    next: "correct",
    remedy: "Follow what the answer says.",
  },
  SIGNATURE_USED: {
    meaning: "The challenge was signed before.",
    owner: "quality",
    next: "correct",
    remedy: "Ask for a new challenge, where there is more to sign.",
  },
  SIGNATURE_EXPIRED: { meaning: "The challenge was not signed in time.", owner: "quality", next: "correct", remedy: "Ask for a new challenge." },
  SIGNATURE_RECORD_CHANGED: {
    meaning: "What was to be signed has changed since it was shown.",
    owner: "quality",
    next: "correct",
    remedy: "Look at it again, and ask for a new challenge.",
  },
  SIGNATURE_NOT_PROVEN: {
    meaning: "Whoever signs has not proven anew who they are.",
    owner: "quality",
    next: "correct",
    remedy: "Sign with your own password, or with a new login at the provider.",
  },
  SIGNATURE_OWN_DEED: {
    meaning: "Nobody verifies, reviews or approves what they did themselves.",
    owner: "quality",
    next: "ask",
    remedy: "Have another person sign.",
  },
  ...OIDC_CODES,
  REQUEST_INVALID: {
    meaning: "The request is not what this interface takes.",
    owner: "integrator",
    next: "correct",
    remedy: "Correct what the pointers name.",
  },
  REQUEST_TOO_LARGE: { meaning: "The request's body is too large.", owner: "integrator", next: "correct", remedy: "Send less at a time." },
  REQUEST_MEDIA_TYPE: { meaning: "The request's body is not JSON.", owner: "integrator", next: "correct", remedy: "Send application/json." },
  REQUEST_TOO_MANY: {
    meaning: "The caller asks more often than it may.",
    owner: "integrator",
    next: "resend",
    remedy: "Wait as long as Retry-After says, then ask again. Follow outcomes at GET /v1/outcomes/events instead of asking for them over and over.",
  },
  REQUEST_STALE: {
    meaning: "What is to be changed has changed since the caller saw it.",
    owner: "integrator",
    next: "correct",
    remedy: "Read it again, then ask again with its new entity tag.",
  },
  REQUEST_KEY_REUSED: {
    meaning: "The idempotency key stands for another request.",
    owner: "integrator",
    next: "correct",
    remedy: "Use a new key for a new request.",
  },
  REQUEST_RESTORED: {
    meaning: "The record was restored from a backup, and what the caller has read last was given behind it: it stands no more.",
    owner: "integrator",
    next: "correct",
    remedy: "Compare what you took behind `after` with the record; then read on from `after` in the new generation.",
  },
  RECORD_DISPOSED: {
    meaning: "What is asked for was archived and disposed of.",
    owner: "quality",
    next: "ask",
    remedy: "Read it in the archive. The entry that is named tells who disposed of it, why, and of which archives.",
  },
  CONFIRMATION_GOES_BACK: {
    meaning: "More outcomes have been confirmed before, and what was taken over stays so.",
    owner: "integrator",
    next: "none",
    remedy: "Go on from `after`. Where what you had taken over was lost on your side, read it again from the feed; nothing need be confirmed for that.",
  },
  CONFIRMATION_TOO_FAR: {
    meaning: "What is to be confirmed has not been handed out.",
    owner: "integrator",
    next: "correct",
    remedy: "Confirm only what you have read, `after` at most.",
  },
  REV_PUBLISHED: {
    meaning: "The revision is published; what is published never changes.",
    owner: "engineer",
    next: "correct",
    remedy: "Publish a new revision.",
  },
  REV_IN_FORCE: {
    meaning: "The revision is in force: it was approved, or nobody in particular registered it.",
    owner: "quality",
    next: "none",
    remedy: "Nothing: batches can be bound to it.",
  },
  REV_OTHER: {
    meaning: "The hash is not that of the revision.",
    owner: "quality",
    next: "correct",
    remedy: "Read the revision, and name the hash of what you have seen.",
  },
  REVIEW_MISSING: {
    meaning: "The batch is not ready for quality's word: production has not recommended it, or its review is missing, open or stale.",
    owner: "quality",
    next: "correct",
    remedy: "Do first what the answer names.",
  },
  REVIEW_STALE: {
    meaning: "The batch's record has changed since the review was opened.",
    owner: "quality",
    next: "correct",
    remedy: "Open a new review, and look at what was added.",
  },
  REVIEW_CONCLUDED: {
    meaning: "The review is concluded; a conclusion is never changed.",
    owner: "quality",
    next: "correct",
    remedy: "Open a new review if there is more to say.",
  },
  REVIEW_OTHER: {
    meaning: "The digest is not that of what this review is over.",
    owner: "quality",
    next: "correct",
    remedy: "Read the review again, and name the digest of what you have seen.",
  },
  AUDIT_NOT_SIGNED: {
    meaning: "What is to be proven is not signed yet.",
    owner: "operations",
    next: "resend",
    remedy: "Ask again in a moment. When `signed` at GET /v1/audit/sites/{site} does not go on, see to the signer.",
  },
  AUDIT_ALTERED: {
    meaning: "What the database has does not lead to what was signed.",
    owner: "quality",
    next: "ask",
    remedy: "Run npx signalbox verify with the signer's public key and the anchors: it names what was changed.",
  },
  EXPORT_TOO_LARGE: {
    meaning: "More entries were chosen than are handed out at once over REST.",
    owner: "quality",
    next: "correct",
    remedy: "Choose fewer, by positions or by time; or run npx signalbox export where the database is, which has no such bound.",
  },
  PARTY_CONFLICT: {
    meaning: "What the party would be permitted must not be permitted together, or not to a party of its kind.",
    owner: "engineer",
    next: "correct",
    remedy: "Propose the party without what the answer names; GET /v1/sites/{site}/access-review shows every conflict.",
  },
  PARTY_NOT_BY_YOU: {
    meaning: "A party is proposed by one person and approved by another; who is not known does neither.",
    owner: "quality",
    next: "ask",
    remedy: "Have another person do it, signed in.",
  },
  PARTY_STATE: {
    meaning: "The revision of the party does not stand where this can follow.",
    owner: "engineer",
    next: "correct",
    remedy: "Read the party. What was revoked or replaced is proposed anew.",
  },
  STATUS_OTHER_KIND: {
    meaning: "A feed brings the one kind of status for which it was granted, and no other.",
    owner: "operations",
    next: "ask",
    remedy: "Ask an administrator for a machine that is the feed of this kind: POST /v1/machines/{machine}/grants with `kind`.",
  },
  STATION_TAKEN: {
    meaning: "Somebody else is at the station.",
    owner: "operator",
    next: "correct",
    remedy: "Have them end their session, or name it in takesOver: GET /v1/sites/{site}/stations/{station} shows it.",
  },
  STATION_STATE: {
    meaning: "The station, its device or its session does not stand where this can follow.",
    owner: "engineer",
    next: "correct",
    remedy: "Read the station, then ask again.",
  },
  SYS_UNAVAILABLE: {
    meaning: "The service cannot decide this now.",
    owner: "operations",
    next: "resend",
    remedy: "Ask again with the same idempotency key; what was done already is then answered, not done again.",
  },
  SYS_STANDING_BY: {
    meaning: "This replica stands by: another one decides for the site.",
    owner: "operations",
    next: "resend",
    remedy: "Ask the replica that the answer names; or ask again here, which is answered as soon as this one has taken over. Nothing was done.",
  },
  SYS_INTERNAL: { meaning: "The service failed on this request.", owner: "operations", next: "ask", remedy: "Report the time and the path of the request." },
};
