import { createPrivateKey, type KeyObject, sign } from "node:crypto";

/** A device's signing key, the same in every run. */
export interface DeviceKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
  /** Its 32 public bytes, base64url. */
  readonly publicKey: string;
}

export function deviceKey(kid: string, number = 1): DeviceKey {
  const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), Buffer.alloc(32, number)]);
  const privateKey = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  return { kid, privateKey, publicKey: privateKey.export({ format: "jwk" }).x ?? "" };
}

const base64url = (text: string): string => Buffer.from(text).toString("base64url");

/** A signed event, as a device writes it. `header`: what stands in it otherwise; a text is taken as it is. */
export function signs(key: DeviceKey, topic: string, event: string, header: Readonly<Record<string, unknown>> | string = {}): string {
  const protectedHeader = typeof header === "string" ? header : JSON.stringify({ alg: "EdDSA", kid: key.kid, typ: "signalbox-event+jws", topic, ...header });
  const input = `${base64url(protectedHeader)}.${base64url(event)}`;
  return `${input}.${sign(null, Buffer.from(input), key.privateKey).toString("base64url")}`;
}
