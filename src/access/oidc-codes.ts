// Why a login at the identity provider is not believed. Append-only: a code never changes its meaning.

export type OidcCode =
  | "OIDC_PROVIDER_UNAVAILABLE"
  | "OIDC_PROVIDER_UNFIT"
  | "OIDC_LOGIN_CANCELLED"
  | "OIDC_LOGIN_REFUSED"
  | "OIDC_STATE_MISMATCH"
  | "OIDC_CODE_REFUSED"
  | "OIDC_TOKEN_INVALID"
  | "OIDC_ALGORITHM_REFUSED"
  | "OIDC_KEY_UNKNOWN"
  | "OIDC_SIGNATURE_INVALID"
  | "OIDC_ISSUER_MISMATCH"
  | "OIDC_AUDIENCE_MISMATCH"
  | "OIDC_MACHINE_SUBJECT"
  | "OIDC_NONCE_MISMATCH"
  | "OIDC_TOKEN_EXPIRED"
  | "OIDC_TOKEN_EARLY"
  | "OIDC_AUTHENTICATION_STALE"
  | "OIDC_AUTHENTICATION_WEAK"
  | "OIDC_OTHER_PERSON";

export interface OidcRefusal {
  readonly kind: "refused";
  readonly code: OidcCode;
  /** One sentence for people and the log; holds neither a token nor a secret. */
  readonly detail: string;
}

export const refuse = (code: OidcCode, detail: string): OidcRefusal => ({ kind: "refused", code, detail });

type Meaning = {
  readonly meaning: string;
  readonly owner: "operator" | "security" | "operations";
  readonly next: "correct" | "ask" | "resend";
  readonly remedy: string;
};

const again = { owner: "operator", next: "correct", remedy: "Begin the login again." } as const;
const suspect = { owner: "security", next: "ask", remedy: "Begin again; if it comes back, ask who runs the identity provider." } as const;

export const OIDC_CODES: Readonly<Record<OidcCode, Meaning>> = {
  OIDC_PROVIDER_UNAVAILABLE: {
    meaning: "The identity provider does not answer, or not as it should.",
    owner: "operations",
    next: "resend",
    remedy: "Try again in a moment; see whether the identity provider runs and can be reached from here.",
  },
  OIDC_PROVIDER_UNFIT: {
    meaning: "What the identity provider says of itself, or of us as its client, does not go with the settings.",
    owner: "operations",
    next: "ask",
    remedy: "Compare OIDC_ISSUER, OIDC_CLIENT_ID, OIDC_CLIENT_SECRET and OIDC_REDIRECT_URI with what is registered at the identity provider.",
  },
  OIDC_LOGIN_CANCELLED: { meaning: "The person, or the identity provider in their place, cancelled the login.", ...again },
  OIDC_LOGIN_REFUSED: { meaning: "The identity provider did not log the person in.", ...again },
  OIDC_STATE_MISMATCH: { meaning: "The answer belongs to another login than the one that was begun here.", ...again },
  OIDC_CODE_REFUSED: {
    meaning: "The identity provider does not take the code of this login: it was used before, is too old, or was given to somebody else.",
    ...again,
  },
  OIDC_TOKEN_INVALID: { meaning: "What the identity provider gave is no ID token, or lacks what one must have.", ...suspect },
  OIDC_ALGORITHM_REFUSED: { meaning: "The ID token is signed by an algorithm that is not allowed, or not at all.", ...suspect },
  OIDC_KEY_UNKNOWN: { meaning: "The ID token is signed by a key that the identity provider does not publish.", ...suspect },
  OIDC_SIGNATURE_INVALID: { meaning: "The ID token's signature does not hold.", ...suspect },
  OIDC_ISSUER_MISMATCH: { meaning: "The answer comes from another identity provider than the configured one.", ...suspect },
  OIDC_AUDIENCE_MISMATCH: { meaning: "The ID token was given to another client.", ...suspect },
  OIDC_MACHINE_SUBJECT: {
    meaning: "The ID token speaks of a machine; only people log in and sign here.",
    owner: "security",
    next: "ask",
    remedy: "Give the machine an API key.",
  },
  OIDC_NONCE_MISMATCH: { meaning: "The ID token was made for another login, or for another challenge.", ...suspect },
  OIDC_TOKEN_EXPIRED: { meaning: "The ID token has expired.", ...again },
  OIDC_TOKEN_EARLY: {
    meaning: "The ID token comes from the future.",
    owner: "operations",
    next: "ask",
    remedy: "Compare the clocks of this host and of the identity provider.",
  },
  OIDC_AUTHENTICATION_STALE: {
    meaning: "The person did not authenticate anew for this signature, or too long ago, or the identity provider does not say when.",
    owner: "operator",
    next: "correct",
    remedy: "Sign again and enter the credentials when asked; if none are asked for, the identity provider must honour prompt=login and tell auth_time.",
  },
  OIDC_AUTHENTICATION_WEAK: {
    meaning: "The person did not authenticate in a way that OIDC_ACR_VALUES asks for.",
    owner: "operator",
    next: "correct",
    remedy: "Sign again with the stronger means of authentication.",
  },
  OIDC_OTHER_PERSON: { meaning: "Somebody else authenticated than the person who is to sign.", ...again },
};
