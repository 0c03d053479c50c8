// Promise: REST and the broker can be spoken to under TLS, with the plant's own certificates. Attack: the same without them.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type RequestOptions, request } from "node:https";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Service, startService } from "../../src/main.ts";
import { loadConfig } from "../../src/ops/config.file.ts";
import { createLog } from "../../src/ops/log.ts";
import { type Mosquitto, startMosquitto } from "../support/mosquitto.ts";
import { describeWith, findCommand } from "../support/needs.ts";
import { freshDatabase, type TestDatabase } from "../support/postgres.ts";

const openssl = findCommand("openssl");

describeWith({ mosquitto: findCommand("mosquitto"), openssl }, "a service with certificates", () => {
  const home = mkdtempSync(path.join(tmpdir(), "signalbox-tls-"));
  const [cert, key] = [path.join(home, "cert.pem"), path.join(home, "key.pem")];
  let database: TestDatabase;
  let broker: Mosquitto;
  let service: Service;

  beforeAll(async () => {
    execFileSync(
      openssl ?? "",
      ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj", "/CN=localhost"].concat([
        "-addext",
        "subjectAltName=DNS:localhost,IP:127.0.0.1",
        "-keyout",
        key,
        "-out",
        cert,
      ]),
      { stdio: "ignore" },
    );
    database = await freshDatabase();
    broker = await startMosquitto([`certfile ${cert}`, `keyfile ${key}`]);
    const settings = {
      DATABASE_URL: database.runtimeUrl,
      DATABASE_OWNER_URL: database.ownerUrl,
      MQTT_URL: `mqtts://localhost:${broker.port}`,
      MQTT_CA_FILE: cert,
      HTTP_PORT: "0",
      HTTP_TLS_CERT_FILE: cert,
      HTTP_TLS_KEY_FILE: key,
      DATA_DIR: home,
      LOG_LEVEL: "silent",
      SITES: "tls",
    };
    service = await startService(loadConfig(settings), createLog({ level: "silent" }));
  });
  afterAll(async () => {
    await service?.stop();
    await broker?.remove();
    await database?.drop();
    rmSync(home, { recursive: true, force: true });
  });

  const ask = (path: string, options: RequestOptions, body = ""): Promise<{ status: number | undefined; text: string }> =>
    new Promise((resolve, reject) => {
      const asked = request(`${service.url}${path}`, options, (answer) => {
        let text = "";
        answer.on("data", (chunk) => {
          text += String(chunk);
        });
        answer.on("end", () => resolve({ status: answer.statusCode, text }));
      });
      asked.on("error", reject).end(body);
    });

  test("is ready over HTTPS, connected to its broker under TLS; neither answers who does not trust it", async () => {
    expect(service.url).toMatch(/^https:/);
    const ca = readFileSync(cert);
    const registered = await ask(
      "/v1/sites/tls/registry/equipment/scale-1",
      { ca, method: "PUT", headers: { "content-type": "application/json" } },
      JSON.stringify({ equipment: "scale-1", line: "4", class: "scale" }),
    );
    expect(registered.status, registered.text).toBe(200);
    await expect.poll(() => ask("/health/ready", { ca }), { timeout: 15_000 }).toMatchObject({ status: 200, text: expect.stringContaining('"broker tls"') });
    await expect(ask("/health/ready", {})).rejects.toThrow(/self-signed|self signed/);
    await expect(fetch(`${service.url.replace("https:", "http:")}/health/ready`)).rejects.toThrow();
  });
});
