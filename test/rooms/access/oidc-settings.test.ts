// The settings of the identity provider: complete or not at all, and nothing in the clear over a network.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ConfigInvalid, loadConfig } from "../../../src/ops/config.file.ts";

const complete = {
  OIDC_ISSUER: "https://idp.example/realms/plant",
  OIDC_CLIENT_ID: "signalbox",
  OIDC_REDIRECT_URI: "https://signalbox.example/login/callback",
};

function problems(env: Record<string, string>): readonly string[] {
  try {
    loadConfig(env);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigInvalid)) throw error;
    return error.problems;
  }
}

test("without them there is no identity provider", () => {
  expect(loadConfig({}).oidc).toBeNull();
});

test("a client without a secret is a public one; what a signer must do is a list", () => {
  expect(loadConfig({ ...complete, OIDC_ACR_VALUES: " urn:mfa  urn:card " }).oidc).toEqual({
    issuer: complete.OIDC_ISSUER,
    clientId: "signalbox",
    clientSecret: null,
    redirectUri: complete.OIDC_REDIRECT_URI,
    acrValues: ["urn:mfa", "urn:card"],
  });
  expect(loadConfig(complete).oidc?.acrValues).toEqual([]);
});

test("the secret may lie in a file", () => {
  const folder = mkdtempSync(join(tmpdir(), "signalbox-oidc-"));
  writeFileSync(join(folder, "secret"), "of the client\n");
  expect(loadConfig({ ...complete, OIDC_CLIENT_SECRET_FILE: join(folder, "secret") }).oidc?.clientSecret).toBe("of the client");
  rmSync(folder, { recursive: true });
});

test("one without the others is named", () => {
  expect(problems({ OIDC_ISSUER: complete.OIDC_ISSUER })).toEqual([
    "OIDC_ISSUER and OIDC_CLIENT_ID go together.",
    "OIDC_ISSUER and OIDC_REDIRECT_URI go together.",
  ]);
  expect(problems({ OIDC_CLIENT_ID: "signalbox" })).toEqual(["OIDC_ISSUER and OIDC_CLIENT_ID go together."]);
  const secret = problems({ OIDC_CLIENT_SECRET: "hush", OIDC_ACR_VALUES: "urn:mfa" });
  expect(secret).toEqual(["OIDC_CLIENT_SECRET is set and OIDC_ISSUER is not.", "OIDC_ACR_VALUES is set and OIDC_ISSUER is not."]);
});

test.each(["OIDC_ISSUER", "OIDC_REDIRECT_URI"])("%s is under TLS, or on loopback", (name) => {
  for (const url of ["http://127.0.0.1:4000", "http://[::1]:4000/x", "http://localhost/x", "https://idp.example"])
    expect(problems({ ...complete, [name]: url })).toEqual([]);
  for (const url of [
    "http://idp.example",
    "http://127.0.0.1.evil.example",
    "http://localhost.evil.example",
    "http://localhost@evil.example",
    "ftp://127.0.0.1",
    "idp.example",
  ])
    expect(problems({ ...complete, [name]: url })[0]).toBe(`${name} is a URL that begins with https://, or with http:// on loopback.`);
  for (const url of ["https://a:b@idp.example", "https://idp.example/?tenant=1", "https://idp.example/#x"])
    expect(problems({ ...complete, [name]: url })).toEqual([`${name} is a URL without user, query and fragment.`]);
});
