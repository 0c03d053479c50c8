import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

/** A certificate and its key, as files. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** Certificates as a plant makes them, with openssl: an authority, and what it issues. They last a day. */
export function certificates(
  openssl: string,
  home: string,
): { authority(name: string): Certificate; issue(by: Certificate, name: string, more?: readonly string[]): Certificate } {
  const run = (...args: readonly string[]): void => {
    execFileSync(openssl, [...args], { stdio: ["ignore", "ignore", "pipe"] });
  };
  const at = (name: string): Certificate => ({ cert: path.join(home, `${name}.pem`), key: path.join(home, `${name}.key`) });
  const fresh = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  return {
    authority(name) {
      const made = at(name);
      run("req", "-x509", ...fresh, "-days", "1", "-subj", `/CN=${name}`, "-addext", "keyUsage=critical,keyCertSign", "-keyout", made.key, "-out", made.cert);
      return made;
    },
    issue(by, name, more = ["subjectAltName=DNS:localhost"]) {
      const made = at(name);
      const [request, extensions] = [`${made.cert}.csr`, `${made.cert}.ext`];
      run("req", "-new", ...fresh, "-subj", `/CN=${name}`, "-keyout", made.key, "-out", request);
      writeFileSync(extensions, more.join("\n"));
      run("x509", "-req", "-in", request, "-CA", by.cert, "-CAkey", by.key, "-CAcreateserial", "-days", "1", "-extfile", extensions, "-out", made.cert);
      return made;
    },
  };
}

export const pemOf = (file: string): string => readFileSync(file, "utf8");
