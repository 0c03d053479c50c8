// Promise: broker, database and REST can be spoken to under TLS with the plant's own certificates, and neither side is believed without one: a server that another
// authority vouches for is not connected to, a client without a certificate is not let in, and nothing older than TLS 1.2 is spoken.
// Attack: the same without the certificate, with another authority's, for another name, and with TLS 1.1.
import { chownSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type RequestOptions, request } from "node:https";
import { tmpdir } from "node:os";
import path from "node:path";
import tls from "node:tls";
import mqtt from "mqtt";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Service, startService } from "../../src/main.ts";
import { loadConfig } from "../../src/ops/config.file.ts";
import { createLog } from "../../src/ops/log.ts";
import { type Certificate, certificates, pemOf } from "../support/certificates.ts";
import { type Mosquitto, startMosquitto } from "../support/mosquitto.ts";
import { describeWith, findCommand } from "../support/needs.ts";
import { accountToRunAs, freshDatabase, type TestDatabase } from "../support/postgres.ts";

const openssl = findCommand("openssl");

describeWith({ mosquitto: findCommand("mosquitto"), openssl }, "a service with certificates", () => {
  const home = mkdtempSync(path.join(tmpdir(), "signalbox-tls-"));
  const make = certificates(openssl ?? "", home);
  const before = { version: tls.DEFAULT_MIN_VERSION, ciphers: tls.DEFAULT_CIPHERS };
  let [plant, other, server, signalbox]: Certificate[] = [];
  let database: TestDatabase;
  let broker: Mosquitto;
  let service: Service;
  let settings: Record<string, string>;

  beforeAll(async () => {
    plant = make.authority("plant");
    other = make.authority("other");
    server = make.issue(plant, "server");
    signalbox = make.issue(plant, "signalbox", ["extendedKeyUsage=clientAuth"]);
    // the process would speak TLS 1.0 where nobody says otherwise: what is refused is refused by the service's own word
    tls.DEFAULT_MIN_VERSION = "TLSv1";
    tls.DEFAULT_CIPHERS = "DEFAULT@SECLEVEL=0";
    database = await freshDatabase();
    await secure(database, server);
    broker = await startMosquitto([
      "allow_anonymous false",
      `cafile ${plant.cert}`,
      `certfile ${server.cert}`,
      `keyfile ${server.key}`,
      "require_certificate true",
      "use_identity_as_username true",
    ]);
    settings = {
      DATABASE_URL: under(database.runtimeUrl, plant),
      DATABASE_OWNER_URL: under(database.ownerUrl, plant),
      MQTT_URL: `mqtts://localhost:${broker.port}`,
      MQTT_CA_FILE: plant.cert,
      MQTT_CERT_FILE: signalbox.cert,
      MQTT_KEY_FILE: signalbox.key,
      HTTP_PORT: "0",
      HTTP_TLS_CERT_FILE: server.cert,
      HTTP_TLS_KEY_FILE: server.key,
      DATA_DIR: home,
      SITES: "tls",
    };
    service = await startService(loadConfig(settings), createLog({ level: "silent" }));
  });
  afterAll(async () => {
    tls.DEFAULT_MIN_VERSION = before.version;
    tls.DEFAULT_CIPHERS = before.ciphers;
    await service?.stop();
    await broker?.remove();
    await database?.drop();
    rmSync(home, { recursive: true, force: true });
  });

  /** Has a database speak TLS, and let nobody in who does not. */
  async function secure({ cluster, query }: TestDatabase, { cert, key }: Certificate): Promise<void> {
    const [to, toKey] = [path.join(cluster.data, "server.crt"), path.join(cluster.data, "server.key")];
    copyFileSync(cert, to);
    writeFileSync(toKey, pemOf(key), { mode: 0o600 });
    const account = accountToRunAs();
    if (account !== null) for (const file of [to, toKey]) chownSync(file, account.uid, account.gid);
    writeFileSync(path.join(cluster.data, "pg_hba.conf"), "host all postgres 127.0.0.1/32 trust\nhostssl all all 127.0.0.1/32 trust\n");
    await query("alter system set ssl = on");
    await cluster.stop();
    await cluster.start();
  }

  /** The address of a database whose server must prove who it is, as docs/operations.md says it. */
  const under = (url: string, authority: Certificate | undefined): string =>
    `${url.replace("127.0.0.1", "localhost")}?sslmode=verify-full&sslrootcert=${authority?.cert ?? ""}`;

  const ask = (at: string, options: RequestOptions, body = ""): Promise<{ status: number | undefined; text: string; hsts: unknown }> =>
    new Promise((resolve, reject) => {
      const asked = request(`${service.url}${at}`.replace("127.0.0.1", "localhost"), options, (answer) => {
        let text = "";
        answer.on("data", (chunk) => {
          text += String(chunk);
        });
        answer.on("end", () => resolve({ status: answer.statusCode, text, hsts: answer.headers["strict-transport-security"] }));
      });
      asked.on("error", reject).end(body);
    });

  test("is ready over HTTPS, connected to broker and database under TLS; nobody answers who does not trust it", async () => {
    expect(service.url).toMatch(/^https:/);
    const ca = readFileSync(plant?.cert ?? "");
    const registered = await ask(
      "/v1/sites/tls/registry/equipment/scale-1",
      { ca, method: "PUT", headers: { "content-type": "application/json" } },
      JSON.stringify({ equipment: "scale-1", line: "4", class: "scale" }),
    );
    expect(registered.status, registered.text).toBe(200);
    await expect.poll(() => ask("/health/ready", { ca }), { timeout: 15_000 }).toMatchObject({ status: 200, text: expect.stringContaining('"broker tls"') });
    const sessions = await database.query(
      "select bool_and(ssl) as secure, count(*)::int as n from pg_stat_ssl join pg_stat_activity using (pid) where usename like 'signalbox%'",
    );
    expect(sessions[0]).toMatchObject({ secure: true });
    expect(Number(sessions[0]?.["n"])).toBeGreaterThan(0);
    await expect(ask("/health/ready", {})).rejects.toThrow(/unable to (?:verify|get)/);
    await expect(ask("/health/ready", { ca: readFileSync(other?.cert ?? "") })).rejects.toThrow(/unable to (?:verify|get)/);
    await expect(fetch(`${service.url.replace("https:", "http:")}/health/ready`)).rejects.toThrow();
    expect((await ask("/health/live", { ca })).hsts).toMatch(/^max-age=\d+$/);
  });

  /** What is agreed on with a server by a client that speaks one version only, whatever the server's certificate. */
  const agree = (port: number, version: "TLSv1.1" | "TLSv1.2" | "TLSv1.3"): Promise<string> =>
    new Promise((resolve) => {
      const socket = tls.connect(
        { host: "localhost", port, rejectUnauthorized: false, minVersion: version, maxVersion: version, ciphers: "DEFAULT@SECLEVEL=0" },
        () => {
          resolve(String(socket.getProtocol()));
          socket.destroy();
        },
      );
      socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    });

  test("speaks TLS 1.2 and 1.3 over HTTPS and nothing older, also where the process would", async () => {
    const lax = tls.createServer({ cert: pemOf(server?.cert ?? ""), key: pemOf(server?.key ?? "") });
    await new Promise<void>((listening) => lax.listen(0, "localhost", listening));
    const address = lax.address();
    expect(await agree(typeof address === "object" ? (address?.port ?? 0) : 0, "TLSv1.1")).toBe("TLSv1.1");
    lax.close();
    const port = Number(new URL(service.url).port);
    expect(await agree(port, "TLSv1.1")).toMatch(/PROTOCOL_VERSION/);
    for (const version of ["TLSv1.2", "TLSv1.3"] as const) expect(await agree(port, version)).toBe(version);
  });

  test("says when its certificates end", async () => {
    const { text } = await ask("/metrics", { ca: readFileSync(plant?.cert ?? "") });
    for (const [label, certificate] of [
      ["http", server],
      ["broker", signalbox],
    ] as const) {
      const ends = Date.parse(new (await import("node:crypto")).X509Certificate(pemOf(certificate?.cert ?? "")).validTo) / 1000;
      expect(text).toContain(`signalbox_certificate_expires_timestamp_seconds{certificate="${label}"} ${ends}`);
    }
  });

  test("meets a broker that lets nobody in without a certificate, or with another authority's", async () => {
    const url = `mqtts://localhost:${broker.port}`;
    const connect = (certificate: Certificate | null): Promise<unknown> =>
      mqtt.connectAsync(url, {
        ca: pemOf(plant?.cert ?? ""),
        ...(certificate === null ? {} : { cert: pemOf(certificate.cert), key: pemOf(certificate.key) }),
        reconnectPeriod: 0,
      });
    await expect(connect(null)).rejects.toThrow();
    await expect(connect(make.issue(other ?? { cert: "", key: "" }, "stranger", ["extendedKeyUsage=clientAuth"]))).rejects.toThrow();
  });

  /** How a service with these settings comes up: `ready`, or why its broker or its start does not. */
  async function comesUp(changed: Readonly<Record<string, string>>): Promise<string> {
    const lines: string[] = [];
    const { Writable } = await import("node:stream");
    const destination = new Writable({
      write(chunk, _encoding, done) {
        lines.push(String(chunk));
        done();
      },
    });
    let started: Service | null = null;
    try {
      started = await startService(
        loadConfig({ ...settings, HTTP_TLS_CERT_FILE: "", HTTP_TLS_KEY_FILE: "", ...changed }),
        createLog({ level: "info", destination }),
      );
      await expect.poll(() => lines.find((line) => /lost its broker|"subscribed/.test(line)), { timeout: 15_000 }).toBeDefined();
      return lines.find((line) => /lost its broker|"subscribed/.test(line)) ?? "";
    } catch (error) {
      return error instanceof Error ? `${error.message} ${String(Reflect.get(error, "code"))}` : String(error);
    } finally {
      await started?.stop();
    }
  }

  test("does not connect to a broker that another authority vouches for, or whose name is another", async () => {
    // owned by the first service, so that only the broker is in question
    await service.stop();
    expect(await comesUp({})).toContain("subscribed");
    expect(await comesUp({ MQTT_CA_FILE: other?.cert ?? "" })).toMatch(/lost its broker/);
    expect(await comesUp({ MQTT_URL: `mqtts://127.0.0.1:${broker.port}` })).toMatch(/lost its broker/);
    expect(await comesUp({ MQTT_CERT_FILE: "", MQTT_KEY_FILE: "" })).toMatch(/lost its broker/);
  });

  test("does not start on a database that another authority vouches for, whose name is another, or that it would speak to in the clear", async () => {
    expect(await comesUp({ DATABASE_URL: under(database.runtimeUrl, other), DATABASE_OWNER_URL: "" })).toMatch(/unable to|self-signed|certificate/);
    expect(await comesUp({ DATABASE_URL: under(database.runtimeUrl, plant).replace("localhost", "127.0.0.1"), DATABASE_OWNER_URL: "" })).toMatch(
      /ERR_TLS_CERT_ALTNAME_INVALID/,
    );
    expect(await comesUp({ DATABASE_URL: database.runtimeUrl, DATABASE_OWNER_URL: "" })).toMatch(/no pg_hba.conf entry|no encryption/);
  });
});
