import { X509Certificate } from "node:crypto";

/** When a certificate ends, in seconds since 1970; of a chain the first, which is the one shown. null: it is none. */
export function certificateEnds(pem: string): number | null {
  try {
    return Math.floor(Date.parse(new X509Certificate(pem).validTo) / 1000);
  } catch {
    return null;
  }
}
