// Promise: whoever logs in or signs through an identity provider is a person who authenticated there, for a signature anew and for exactly that challenge; whatever is not
// proved is refused by a code of its own. Attack: log in at a real provider, cancel, keep the session and strip the demand for a new login; then let a provider lie in each
// claim, in its signature and in its answers, and be away.
import { createHash, randomBytes } from "node:crypto";
import { calculateJwkThumbprint } from "jose";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { type Begun, createOidc, nonceOf, type Oidc, type Proven, type Purpose } from "../../../src/access/oidc.fetch.ts";
import { OIDC_CODES, type OidcRefusal } from "../../../src/access/oidc-codes.ts";
import { json, type Lie, type LyingProvider, publicHalf, signedBy, signedWithPublicKey, startLyingProvider, unsigned } from "../../support/lying-provider.ts";
import { ADA, Browser, KURT, MFA, type ProviderOptions, privateKey, REDIRECT_URI, type RealProvider, startProvider } from "../../support/oidc-provider.ts";

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
const signing = (text: string, subject = ADA.subject): Purpose => ({ purpose: "sign", challengeDigest: digest(text), subject });

/** Every code that was given in this file. */
const given = new Set<string>();

function client(issuer: string, changed: { secret?: string | null; acrValues?: readonly string[]; timeoutMs?: number } = {}): Oidc {
  const { secret = "a secret of the client", acrValues = [], timeoutMs } = changed;
  const oidc = createOidc(
    { issuer, clientId: "signalbox", clientSecret: secret, redirectUri: REDIRECT_URI, acrValues },
    timeoutMs === undefined ? {} : { timeoutMs },
  );
  const noted = <T extends Begun | Proven | OidcRefusal>(ended: T): T => {
    if (ended.kind === "refused") given.add(ended.code);
    return ended;
  };
  return { issuer: oidc.issuer, begin: async (...of) => noted(await oidc.begin(...of)), complete: async (...of) => noted(await oidc.complete(...of)) };
}

async function begun(oidc: Oidc, purpose: Purpose, now = Date.now()): Promise<Begun> {
  const begin = await oidc.begin(purpose, now);
  if (begin.kind === "refused") throw new Error(`${begin.code}: ${begin.detail}`);
  return begin;
}

function proven(ended: Proven | OidcRefusal): Proven {
  if (ended.kind === "refused") throw new Error(`${ended.code}: ${ended.detail}`);
  return ended;
}

describe("with a real provider", () => {
  let provider: RealProvider;
  const opened: RealProvider[] = [];
  const open = async (options: ProviderOptions = {}): Promise<RealProvider> => {
    const another = await startProvider(options);
    opened.push(another);
    return another;
  };
  beforeAll(async () => {
    provider = await open();
  });
  afterAll(async () => {
    for (const each of opened) await each.close();
  });

  /** The whole of it: the provider's form, the way back, what comes of it. */
  async function through(oidc: Oidc, purpose: Purpose, who: Parameters<Browser["login"]>[1], browser = new Browser()): Promise<Proven | OidcRefusal> {
    const begin = await begun(oidc, purpose);
    const back = await browser.login(begin.url, who);
    return oidc.complete(back.searchParams, begin, Date.now());
  }

  test("a person logs in with their password, and is told by issuer and subject", async () => {
    const ended = proven(await through(client(provider.issuer), { purpose: "sign-in" }, ADA));
    expect(ended).toMatchObject({ issuer: provider.issuer, subject: ADA.subject, name: ADA.name, username: ADA.login, amr: ["pwd"] });
    expect(ended.authTime).toMatch(/^\d{4}-.*Z$/);
    expect(ended.keyThumbprint).toBe(await calculateJwkThumbprint(ended.key));
    expect(ended.key).not.toHaveProperty("d");
    const [header] = ended.idToken.split(".");
    const { keys } = (await (await fetch(`${provider.issuer}/jwks`)).json()) as { keys: { kid: string; n: string }[] };
    expect(keys.find(({ kid }) => kid === JSON.parse(Buffer.from(header ?? "", "base64url").toString()).kid)?.n).toBe(ended.key.n);
  });

  test("who is logged in there already is not asked again to log in here", async () => {
    const [oidc, browser] = [client(provider.issuer), new Browser()];
    expect(proven(await through(oidc, { purpose: "sign-in" }, KURT, browser)).subject).toBe(KURT.subject);
    expect(proven(await through(oidc, { purpose: "sign-in" }, "nobody", browser)).subject).toBe(KURT.subject);
  });

  test("a code goes to the provider with PKCE and the client's secret, which is in no URL", async () => {
    const oidc = client(provider.issuer);
    const begin = await begun(oidc, { purpose: "sign-in" });
    const sent = new URL(begin.url).searchParams;
    expect(sent.get("code_challenge")).toBe(createHash("sha256").update(begin.codeVerifier).digest("base64url"));
    expect(Object.fromEntries(sent)).toMatchObject({
      response_type: "code",
      code_challenge_method: "S256",
      redirect_uri: REDIRECT_URI,
      state: begin.state,
      nonce: begin.nonce,
    });
    expect(begin.url).not.toContain(begin.codeVerifier);
    proven(await oidc.complete((await new Browser().login(begin.url, ADA)).searchParams, begin, Date.now()));
    const asked = provider.asked.at(-1);
    expect(asked?.authorization).toMatch(/^Basic /);
    expect(Object.fromEntries(asked?.body ?? [])).toMatchObject({
      grant_type: "authorization_code",
      code_verifier: begin.codeVerifier,
      redirect_uri: REDIRECT_URI,
    });
    expect(asked?.body.has("client_secret")).toBe(false);
  });

  test("each login has a state, a nonce and a verifier of its own", async () => {
    const oidc = client(provider.issuer);
    const [one, other] = [await begun(oidc, { purpose: "sign-in" }), await begun(oidc, { purpose: "sign-in" })];
    for (const key of ["state", "nonce", "codeVerifier"] as const) {
      expect(one[key]).not.toBe(other[key]);
      expect(Buffer.from(one[key], "base64url").length).toBeGreaterThanOrEqual(32);
    }
  });

  test("a signer authenticates anew although they are logged in, and their token carries the challenge", async () => {
    const [oidc, browser] = [client(provider.issuer), new Browser()];
    proven(await through(oidc, { purpose: "sign-in" }, ADA, browser));
    await expect(through(oidc, signing("B-1 is released"), "nobody", browser)).rejects.toThrow("asks who this is");
    const ended = proven(await through(oidc, signing("B-1 is released"), ADA, browser));
    expect(ended.nonce).toBe(digest("B-1 is released").toString("base64url"));
    expect(JSON.parse(Buffer.from(ended.idToken.split(".")[1] ?? "", "base64url").toString())).toMatchObject({
      nonce: nonceOf(digest("B-1 is released")),
      sub: ADA.subject,
    });
    expect(ended.authTime).not.toBeNull();
  });

  test("a signer out of whose URL the demand for a new login was taken is refused, though the provider lets them through", async () => {
    const [oidc, browser] = [client(provider.issuer), new Browser()];
    proven(await through(oidc, { purpose: "sign-in" }, ADA, browser));
    // the challenge comes two seconds after the login, by the clock that is given
    const now = Date.now() + 2_000;
    const begin = await begun(oidc, signing("B-1 is released"), now);
    const url = new URL(begin.url);
    expect(url.searchParams.get("prompt")).toBe("login");
    expect(url.searchParams.get("max_age")).toBe("0");
    url.searchParams.delete("prompt");
    url.searchParams.delete("max_age");
    const back = await browser.login(url.href, "nobody");
    expect(await oidc.complete(back.searchParams, begin, now)).toMatchObject({ kind: "refused", code: "OIDC_AUTHENTICATION_STALE" });
  });

  test("the token of one challenge signs no other", async () => {
    const [oidc, browser] = [client(provider.issuer), new Browser()];
    const [small, large] = [await begun(oidc, signing("a comment")), await begun(oidc, signing("B-1 is released"))];
    const url = new URL(large.url);
    url.searchParams.set("nonce", small.nonce);
    const back = await browser.login(url.href, ADA);
    expect(await oidc.complete(back.searchParams, large, Date.now())).toMatchObject({ code: "OIDC_NONCE_MISMATCH" });
  });

  test("nobody signs in another's place", async () => {
    expect(await through(client(provider.issuer), signing("B-1 is released", ADA.subject), KURT)).toMatchObject({ code: "OIDC_OTHER_PERSON" });
  });

  test("a signer is asked for what the plant demands, and refused where the provider does not give it", async () => {
    const strong = await open({ acr: MFA });
    const oidc = client(strong.issuer, { acrValues: ["urn:example:card", MFA] });
    const begin = await begun(oidc, signing("B-1 is released"));
    expect(new URL(begin.url).searchParams.get("acr_values")).toBe(`urn:example:card ${MFA}`);
    expect(proven(await through(oidc, signing("B-1 is released"), ADA)).acr).toBe(MFA);
    const weak = client(provider.issuer, { acrValues: [MFA] });
    expect(await through(weak, signing("B-1 is released"), ADA)).toMatchObject({ code: "OIDC_AUTHENTICATION_WEAK" });
    expect((await through(weak, { purpose: "sign-in" }, ADA)).kind).toBe("proven");
  });

  test("a login that the person cancels is told as that, and only to who knows its state", async () => {
    const oidc = client(provider.issuer);
    const begin = await begun(oidc, { purpose: "sign-in" });
    const back = (await new Browser().login(begin.url, "cancel")).searchParams;
    expect(await oidc.complete(back, { ...begin, state: "another" }, Date.now())).toMatchObject({ code: "OIDC_STATE_MISMATCH" });
    expect(await oidc.complete(back, begin, Date.now())).toMatchObject({ code: "OIDC_LOGIN_CANCELLED" });
  });

  test("a login that the provider does not grant is told as that, and names nothing that came with it", async () => {
    const oidc = client(provider.issuer);
    const begin = await begun(oidc, { purpose: "sign-in" });
    const url = new URL(begin.url);
    url.searchParams.set("prompt", "none");
    const back = (await new Browser().login(url.href, "nobody")).searchParams;
    expect(await oidc.complete(back, begin, Date.now())).toMatchObject({ code: "OIDC_LOGIN_REFUSED", detail: expect.stringContaining("login_required") });
    back.set("error", "<b>\n");
    expect(await oidc.complete(back, begin, Date.now())).toMatchObject({
      code: "OIDC_LOGIN_REFUSED",
      detail: "The identity provider answers an error without a name.",
    });
    back.delete("error");
    expect(await oidc.complete(back, begin, Date.now()), "neither a code nor an error").toMatchObject({ code: "OIDC_LOGIN_REFUSED" });
  });

  test("a wrong password leads nowhere", async () => {
    const begin = await begun(client(provider.issuer), { purpose: "sign-in" });
    await expect(new Browser().login(begin.url, { login: ADA.login, password: "guess" })).rejects.toThrow("401");
  });

  test("an answer works once, and only for the login that it belongs to", async () => {
    const oidc = client(provider.issuer);
    const [mine, theirs] = [await begun(oidc, { purpose: "sign-in" }), await begun(oidc, { purpose: "sign-in" })];
    const back = (await new Browser().login(mine.url, ADA)).searchParams;
    expect(await oidc.complete(back, theirs, Date.now())).toMatchObject({ code: "OIDC_STATE_MISMATCH" });
    const twice = new URLSearchParams([...back, ["state", mine.state]]);
    expect(await oidc.complete(twice, mine, Date.now())).toMatchObject({ code: "OIDC_STATE_MISMATCH" });
    // the code of one person, put into the login of another, is stopped by the verifier
    const stolen = new URLSearchParams({ ...Object.fromEntries(back), state: theirs.state });
    expect(await oidc.complete(stolen, theirs, Date.now())).toMatchObject({ code: "OIDC_CODE_REFUSED" });
    const fresh = await begun(oidc, { purpose: "sign-in" });
    const again = (await new Browser().login(fresh.url, ADA)).searchParams;
    proven(await oidc.complete(again, fresh, Date.now()));
    expect(await oidc.complete(again, fresh, Date.now())).toMatchObject({ code: "OIDC_CODE_REFUSED" });
  });

  test("an answer that names another provider is refused before its code goes anywhere", async () => {
    const oidc = client(provider.issuer);
    const begin = await begun(oidc, { purpose: "sign-in" });
    const back = (await new Browser().login(begin.url, ADA)).searchParams;
    const before = provider.asked.length;
    for (const iss of ["https://evil.example", null]) {
      const changed = new URLSearchParams(back);
      if (iss === null) changed.delete("iss");
      else changed.set("iss", iss);
      expect(await oidc.complete(changed, begin, Date.now())).toMatchObject({ code: "OIDC_ISSUER_MISMATCH" });
    }
    expect(provider.asked.length).toBe(before);
    proven(await oidc.complete(back, begin, Date.now()));
  });

  test.each(["PS256", "ES256", "EdDSA"] as const)("a provider may sign with %s", async (algorithm) => {
    const ended = proven(await through(client((await open({ algorithm })).issuer), signing("B-1 is released"), ADA));
    expect(ended.keyThumbprint).toBe(await calculateJwkThumbprint(ended.key));
  });

  test("names that a provider tells only where it is asked for them are asked for", async () => {
    const apart = await open({ namesIn: "userinfo" });
    expect(proven(await through(client(apart.issuer), { purpose: "sign-in" }, ADA))).toMatchObject({ name: ADA.name, username: ADA.login });
  });

  test("a public client logs in without a secret, another sends it in the body where the provider wants that", async () => {
    const free = await open({ secret: null });
    proven(await through(client(free.issuer, { secret: null }), { purpose: "sign-in" }, ADA));
    expect(free.asked.at(-1)?.authorization).toBeUndefined();
    const post = await open({ authMethod: "client_secret_post" });
    proven(await through(client(post.issuer), { purpose: "sign-in" }, ADA));
    expect(post.asked.at(-1)?.body.get("client_secret")).toBe("a secret of the client");
  });

  test("a wrong secret is the settings' fault, and is not told on", async () => {
    const ended = await through(client(provider.issuer, { secret: "wrong-and-secret" }), { purpose: "sign-in" }, ADA);
    expect(ended).toMatchObject({ code: "OIDC_PROVIDER_UNFIT" });
    expect(JSON.stringify(ended)).not.toContain("wrong-and-secret");
  });

  test("keys that the provider changed are read anew, but not at every token's bidding", async () => {
    const rotating = await open();
    const oidc = client(rotating.issuer);
    const first = proven(await through(oidc, { purpose: "sign-in" }, ADA));
    await rotating.rotate();
    expect(await through(oidc, { purpose: "sign-in" }, ADA)).toMatchObject({ code: "OIDC_KEY_UNKNOWN" });
    // ten seconds later, by the clock that is given
    const begin = await begun(oidc, { purpose: "sign-in" }, Date.now() + 11_000);
    const back = await new Browser().login(begin.url, ADA);
    const second = proven(await oidc.complete(back.searchParams, begin, Date.now() + 11_000));
    expect(second.keyThumbprint).not.toBe(first.keyThumbprint);
  });

  test("while the provider is away nobody logs in, and when it is back they do", async () => {
    const away = await open();
    const oidc = client(away.issuer);
    const before = await begun(oidc, { purpose: "sign-in" });
    const back = (await new Browser().login(before.url, ADA)).searchParams;
    await away.close();
    expect(await oidc.complete(back, before, Date.now())).toMatchObject({ code: "OIDC_PROVIDER_UNAVAILABLE" });
    const late = client(away.issuer);
    const now = Date.now();
    expect(await late.begin({ purpose: "sign-in" }, now)).toMatchObject({ code: "OIDC_PROVIDER_UNAVAILABLE" });
    await away.open();
    expect(await late.begin({ purpose: "sign-in" }, now + 9_000), "it is left alone for a while").toMatchObject({ code: "OIDC_PROVIDER_UNAVAILABLE" });
    expect(await late.begin({ purpose: "sign-in" }, now + 11_000)).toMatchObject({ kind: "begun" });
    // the outage used up neither code nor login
    proven(await oidc.complete(back, before, Date.now()));
  });
});

describe("with a provider that lies", () => {
  let liar: LyingProvider;
  beforeAll(async () => {
    liar = await startLyingProvider();
  });
  beforeEach(() => {
    liar.lie = {};
    liar.publish(liar.key);
    liar.asked.clear();
  });
  afterEach(() => liar.instead.clear());
  afterAll(() => liar.close());

  async function told(purpose: Purpose, lie: Lie, oidc = client(liar.issuer)): Promise<Proven | OidcRefusal> {
    liar.lie = lie;
    const begin = await begun(oidc, purpose);
    return oidc.complete(await liar.login(begin.url), begin, Date.now());
  }
  const seconds = (ago: number): number => Math.floor(Date.now() / 1000) - ago;
  const signs = signing("B-1 is released");
  const logsIn: Purpose = { purpose: "sign-in" };

  test("what is not a lie is believed, for both", async () => {
    expect(proven(await told(logsIn, {})).subject).toBe("p-ada");
    expect(proven(await told(signs, {})).subject).toBe("p-ada");
    expect(proven(await told(logsIn, { claims: { aud: ["signalbox", "other"], azp: "signalbox", auth_time: undefined } })).authTime).toBeNull();
  });

  const claimed: readonly (readonly [lie: string, claims: () => Record<string, unknown>, code: string])[] = [
    ["another issuer", () => ({ iss: "https://evil.example" }), "OIDC_ISSUER_MISMATCH"],
    ["the issuer with a slash", () => ({ iss: `${liar.issuer}/` }), "OIDC_ISSUER_MISMATCH"],
    ["another audience", () => ({ aud: "other" }), "OIDC_AUDIENCE_MISMATCH"],
    ["no audience", () => ({ aud: [] }), "OIDC_AUDIENCE_MISMATCH"],
    ["several audiences, and not to whom it was given", () => ({ aud: ["signalbox", "other"] }), "OIDC_AUDIENCE_MISMATCH"],
    ["another to whom it was given", () => ({ azp: "other" }), "OIDC_AUDIENCE_MISMATCH"],
    ["the client as its subject", () => ({ sub: "signalbox" }), "OIDC_MACHINE_SUBJECT"],
    ["a client that is its subject", () => ({ sub: "robot", client_id: "robot" }), "OIDC_MACHINE_SUBJECT"],
    ["another nonce", () => ({ nonce: nonceOf(randomBytes(32)) }), "OIDC_NONCE_MISMATCH"],
    ["no nonce", () => ({ nonce: undefined }), "OIDC_NONCE_MISMATCH"],
    ["an end in the past", () => ({ exp: seconds(61) }), "OIDC_TOKEN_EXPIRED"],
    ["a beginning in the future", () => ({ iat: seconds(-120) }), "OIDC_TOKEN_EARLY"],
    ["that it holds only later", () => ({ nbf: seconds(-120) }), "OIDC_TOKEN_EARLY"],
    ["a login in the future", () => ({ auth_time: seconds(-120) }), "OIDC_TOKEN_EARLY"],
    ["no end", () => ({ exp: undefined }), "OIDC_TOKEN_INVALID"],
    ["an end that is not a number", () => ({ exp: "never" }), "OIDC_TOKEN_INVALID"],
    ["no subject", () => ({ sub: undefined }), "OIDC_TOKEN_INVALID"],
    ["an empty subject", () => ({ sub: "" }), "OIDC_TOKEN_INVALID"],
    ["a subject that no record can hold", () => ({ sub: "p-ada\0" }), "OIDC_TOKEN_INVALID"],
    ["a name that would write into a log", () => ({ name: "Ada\nLovelace" }), "OIDC_TOKEN_INVALID"],
  ];
  test.each(claimed)("a token that claims %s is refused", async (_lie, claims, code) => {
    expect(await told(logsIn, { claims: claims() })).toMatchObject({ kind: "refused", code });
    expect(await told(signs, { claims: claims() })).toMatchObject({ kind: "refused", code });
  });

  const signedClaims: readonly (readonly [lie: string, claims: () => Record<string, unknown>, code: string])[] = [
    ["does not say when the person authenticated", () => ({ auth_time: undefined }), "OIDC_AUTHENTICATION_STALE"],
    ["says that they did before the challenge", () => ({ auth_time: seconds(30) }), "OIDC_AUTHENTICATION_STALE"],
    ["says so by a clock that is ahead", () => ({ auth_time: seconds(-30), iat: seconds(-50), exp: seconds(-300) }), "OIDC_AUTHENTICATION_STALE"],
    ["speaks of another person", () => ({ sub: KURT.subject }), "OIDC_OTHER_PERSON"],
  ];
  test.each(signedClaims)("nobody signs by a token that %s; who only logs in may", async (_lie, claims, code) => {
    expect(await told(signs, { claims: claims() })).toMatchObject({ kind: "refused", code });
    expect((await told(logsIn, { claims: claims() })).kind).toBe("proven");
  });

  test("who authenticated for this challenge, but more than two minutes ago, does not sign", async () => {
    const oidc = client(liar.issuer);
    const now = Date.now();
    const begin = await begun(oidc, signs, now - 130_000);
    for (const [ago, outcome] of [
      [125, { code: "OIDC_AUTHENTICATION_STALE" }],
      [110, { kind: "proven" }],
    ] as const) {
      liar.lie = { claims: { auth_time: Math.floor(now / 1000) - ago } };
      expect(await oidc.complete(await liar.login(begin.url), begin, now)).toMatchObject(outcome);
    }
  });

  // a token of the second behind the question for it was taken for one of a clock that is ahead, and its login for an earlier one
  test("who authenticated for this challenge signs, however long their provider takes to say so", async () => {
    const begin = await begun(client(liar.issuer), signs);
    const authenticated = Math.floor(begin.startedAt / 1000);
    liar.lie = {
      async sign(claims) {
        await new Promise((resolve) => setTimeout(resolve, 1_100));
        return signedBy(liar.key)(JSON.stringify({ ...JSON.parse(claims), auth_time: authenticated, iat: seconds(0) }));
      },
    };
    proven(await client(liar.issuer).complete(await liar.login(begin.url), begin, Date.now()));
  });

  test("a token is judged by the clock that is given, a minute aside", async () => {
    const oidc = client(liar.issuer);
    for (const [ahead, outcome] of [
      [300 + 50, { kind: "proven" }],
      [300 + 70, { code: "OIDC_TOKEN_EXPIRED" }],
      [-50, { kind: "proven" }],
      [-70, { code: "OIDC_TOKEN_EARLY" }],
    ] as const) {
      const now = Date.now() + ahead * 1000;
      const begin = await begun(oidc, logsIn, now);
      expect(await oidc.complete(await liar.login(begin.url), begin, now), String(ahead)).toMatchObject(outcome);
    }
  });

  test("a token that has expired by another clock of this host is good by the one that is given", async () => {
    const oidc = client(liar.issuer);
    const now = Date.now() - 400_000;
    const begin = await begun(oidc, signs, now);
    liar.lie = { claims: { iat: seconds(400), auth_time: seconds(400), exp: seconds(200) } };
    proven(await oidc.complete(await liar.login(begin.url), begin, now));
  });

  test("a token without a signature, or with one that its own public key made, is refused by its algorithm", async () => {
    for (const sign of [unsigned, signedWithPublicKey(liar.key)]) expect(await told(signs, { sign })).toMatchObject({ code: "OIDC_ALGORITHM_REFUSED" });
    const long = { ...liar.key, alg: "RS512" };
    liar.publish(long);
    expect(await told(signs, { sign: signedBy(long) })).toMatchObject({ code: "OIDC_ALGORITHM_REFUSED" });
  });

  test("a token by a key that is not published is refused, whatever its header brings along", async () => {
    const own = await privateKey("RS256");
    expect(await told(signs, { sign: signedBy(own) })).toMatchObject({ code: "OIDC_KEY_UNKNOWN" });
    expect(await told(signs, { sign: signedBy(own, { jwk: publicHalf(own) }) })).toMatchObject({ code: "OIDC_KEY_UNKNOWN" });
    expect(await told(signs, { sign: signedBy(own, { kid: liar.key.kid, jwk: publicHalf(own), jku: "https://evil.example/jwks" }) })).toMatchObject({
      code: "OIDC_SIGNATURE_INVALID",
    });
    const other = await privateKey("RS256");
    liar.publish(liar.key, other);
    expect(await told(signs, { sign: signedBy(liar.key, { kid: undefined }) })).toMatchObject({ code: "OIDC_KEY_UNKNOWN" });
  });

  test("a token that was changed after it was signed is refused", async () => {
    const sign = async (payload: string): Promise<string> => {
      const [header, , signature] = (await signedBy(liar.key)(payload)).split(".");
      return `${header}.${Buffer.from(payload.replace("Lovelace", "Byron")).toString("base64url")}.${signature}`;
    };
    expect(await told(signs, { sign })).toMatchObject({ code: "OIDC_SIGNATURE_INVALID" });
  });

  test("what is another kind of token, or none, is refused", async () => {
    expect(await told(signs, { sign: signedBy(liar.key, { typ: "at+jwt" }) })).toMatchObject({ code: "OIDC_TOKEN_INVALID" });
    expect(await told(signs, { sign: signedBy(liar.key, { typ: "logout+jwt" }) })).toMatchObject({ code: "OIDC_TOKEN_INVALID" });
    expect((await told(signs, { sign: signedBy(liar.key, { typ: "JWT" }) })).kind).toBe("proven");
    for (const nonsense of ["", "no token", "a.b.c", "[].[].[]"])
      expect(await told(signs, { sign: () => nonsense })).toMatchObject({ code: "OIDC_TOKEN_INVALID" });
  });

  test("an answer that is no answer is an outage, and its code is not lost to a redirect", async () => {
    const elsewhere: string[] = [];
    const thief = await startLyingProvider();
    thief.instead.set("/token", (request, response) => {
      elsewhere.push(request.url ?? "");
      json(response, {});
    });
    for (const answer of [
      (_: unknown, response: Parameters<typeof json>[0]) => json(response, {}, 503),
      (_: unknown, response: Parameters<typeof json>[0]) => json(response, { error: "temporarily_unavailable" }, 400),
      (_: unknown, response: Parameters<typeof json>[0]) => void response.writeHead(200, { "content-type": "text/html" }).end("<h1>Proxy</h1>"),
      (_: unknown, response: Parameters<typeof json>[0]) => void response.writeHead(200, { "content-type": "application/json" }).end("{"),
      (_: unknown, response: Parameters<typeof json>[0]) => void response.writeHead(307, { location: `${thief.issuer}/token` }).end(),
      (_: unknown, response: Parameters<typeof json>[0]) => json(response, { id_token: "x".repeat(1_100_000) }),
      (_: unknown, response: Parameters<typeof json>[0]) => void response.destroy(),
    ]) {
      liar.instead.set("/token", answer);
      expect(await told(signs, {})).toMatchObject({ code: "OIDC_PROVIDER_UNAVAILABLE" });
    }
    expect(elsewhere).toEqual([]);
    await thief.close();
  });

  test("a provider that accepts and never answers is given up", async () => {
    const oidc = client(liar.issuer, { timeoutMs: 2_000 });
    liar.instead.set("/token", () => {});
    expect(await told(logsIn, {}, oidc)).toMatchObject({ code: "OIDC_PROVIDER_UNAVAILABLE", detail: expect.stringContaining("in time") });
    liar.instead.set("/.well-known/openid-configuration", (_, response) => void response.writeHead(200, { "content-type": "application/json" }).write("{"));
    expect(await client(liar.issuer, { timeoutMs: 2_000 }).begin(logsIn, Date.now())).toMatchObject({ code: "OIDC_PROVIDER_UNAVAILABLE" });
  });

  test("a good token in an answer that is none is not taken out of it", async () => {
    for (const beside of [{ access_token: undefined }, { access_token: 7 }, { token_type: undefined }, { token_type: "mac" }])
      expect(await told(signs, { beside }), JSON.stringify(beside)).toMatchObject({ code: "OIDC_TOKEN_INVALID" });
  });

  test("an answer without an ID token is refused", async () => {
    liar.instead.set("/token", (_, response) => json(response, { access_token: "a", token_type: "Bearer" }));
    expect(await told(logsIn, {})).toMatchObject({ code: "OIDC_TOKEN_INVALID" });
  });

  test("a provider that is another, or sends people and codes to unprotected addresses, is not used", async () => {
    const said = "/.well-known/openid-configuration";
    for (const changed of [
      { issuer: "https://evil.example" },
      { issuer: `${liar.issuer}/` },
      { token_endpoint: "http://evil.example/token" },
      { authorization_endpoint: "http://evil.example/authorize" },
      { authorization_endpoint: "javascript:alert(1)" },
      { jwks_uri: "http://evil.example/jwks" },
      { jwks_uri: undefined },
    ]) {
      liar.instead.set(said, (_, response) => json(response, { ...liar.metadata, ...changed }));
      expect(await client(liar.issuer).begin(logsIn, Date.now()), JSON.stringify(changed)).toMatchObject({ code: "OIDC_PROVIDER_UNFIT" });
    }
    liar.instead.set("/jwks", (_, response) => json(response, { keys: "none" }));
    liar.instead.delete(said);
    expect(await client(liar.issuer).begin(logsIn, Date.now())).toMatchObject({ code: "OIDC_PROVIDER_UNAVAILABLE" });
  });

  test("the provider is asked once for many logins, and nobody before the first", async () => {
    const oidc = client(liar.issuer);
    expect(liar.asked.size).toBe(0);
    await Promise.all(Array.from({ length: 20 }, () => begun(oidc, logsIn)));
    await begun(oidc, signs);
    expect(Object.fromEntries(liar.asked)).toEqual({ "/.well-known/openid-configuration": 1, "/jwks": 1 });
    await begun(oidc, signs, Date.now() + 11 * 60_000);
    expect(liar.asked.get("/jwks"), "a key that is withdrawn is not believed for ever").toBe(2);
  });

  test("names from another subject are not taken over", async () => {
    const oidc = client(liar.issuer);
    const said = "/.well-known/openid-configuration";
    liar.instead.set(said, (_, response) => json(response, { ...liar.metadata, userinfo_endpoint: `${liar.issuer}/userinfo` }));
    const nameless = { claims: { name: undefined, preferred_username: "" } };
    liar.instead.set("/userinfo", (_, response) => json(response, { sub: KURT.subject, name: KURT.name }));
    expect(await told(logsIn, nameless, oidc)).toMatchObject({ code: "OIDC_TOKEN_INVALID" });
    liar.instead.set("/userinfo", (_, response) => json(response, {}, 503));
    expect(await told(logsIn, nameless, oidc)).toMatchObject({ code: "OIDC_PROVIDER_UNAVAILABLE" });
    liar.instead.set("/userinfo", (_, response) => json(response, { sub: ADA.subject, name: " Ada Lovelace " }));
    expect(await told(logsIn, nameless, oidc)).toMatchObject({ name: "Ada Lovelace", username: null });
    liar.instead.set("/userinfo", () => expect.unreachable("a signature waits for no second answer"));
    expect(await told(signs, nameless, oidc)).toMatchObject({ kind: "proven", name: null });
  });
});

test("what is no SHA-256 is no challenge's digest", () => {
  for (const short of [Buffer.alloc(0), Buffer.alloc(31), Buffer.alloc(33)]) expect(() => nonceOf(short)).toThrow(RangeError);
});

test("an issuer on the network is spoken to under TLS or not at all", () => {
  for (const issuer of ["http://idp.example", "http://127.0.0.1.evil.example", "http://localhost.evil.example", "ftp://127.0.0.1", "no address"])
    expect(() => client(issuer)).toThrow(RangeError);
  expect(client("https://idp.example").issuer).toBe("https://idp.example");
});

test("a provider on the network names no address in the clear, not even on loopback", async () => {
  const issuer = "https://idp.example";
  let jwks = `${issuer}/jwks`;
  // the network itself is stood in for: nobody here has the certificate of idp.example
  vi.stubGlobal("fetch", async (url: string) =>
    Response.json(
      url === `${issuer}/.well-known/openid-configuration`
        ? { issuer, authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token`, jwks_uri: jwks }
        : { keys: [] },
    ),
  );
  try {
    expect(await client(issuer).begin({ purpose: "sign-in" }, Date.now())).toMatchObject({ kind: "begun" });
    jwks = "http://127.0.0.1:9/jwks";
    expect(await client(issuer).begin({ purpose: "sign-in" }, Date.now())).toMatchObject({ code: "OIDC_PROVIDER_UNFIT" });
  } finally {
    vi.unstubAllGlobals();
  }
});

test("every refusal that there is has been provoked above", () => {
  expect([...given].sort()).toEqual(Object.keys(OIDC_CODES).sort());
});
