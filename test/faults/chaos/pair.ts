// Two ends that talk through a proxy, for its tests: a server that keeps what it got, and a client.
import { connect, createServer, type Socket } from "node:net";
import { generate, type Packet } from "mqtt-packet";
import { seeded } from "../../support/measure.ts";
import { type FaultProxy, type ProxyOptions, startProxy } from "./proxy.ts";

/** A server that keeps what it got, and a client that reaches it through a proxy. */
export interface Pair {
  readonly proxy: FaultProxy;
  readonly client: End;
  readonly server: End;
}

/** One end of a connection: what it got so far, and how it ended. */
export interface End {
  readonly socket: Socket;
  got(): Buffer;
  gets(length: number): Promise<Buffer>;
  readonly ended: Promise<"end" | "reset">;
}

const stops: (() => Promise<void>)[] = [];
/** Ends everything that a test has opened. */
export async function endAll(): Promise<void> {
  for (const stop of stops.splice(0).reverse()) await stop();
}

function endOf(socket: Socket): End {
  let bytes = Buffer.alloc(0);
  const looks = new Set<() => void>();
  socket.on("data", (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    for (const look of [...looks]) look();
  });
  const ended = new Promise<"end" | "reset">((resolve) => {
    socket.once("end", () => resolve("end"));
    socket.once("error", () => resolve("reset"));
    // a side that was written to after the reset learns of it by its close alone
    socket.once("close", () => resolve("reset"));
  });
  return {
    socket,
    got: () => bytes,
    gets: (length) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (bytes.length < length) return;
          looks.delete(look);
          resolve(bytes);
        };
        looks.add(look);
        look();
      }),
    ended,
  };
}

export async function pair(options: Partial<ProxyOptions> = {}): Promise<Pair> {
  let accepted: (socket: Socket) => void = () => {};
  const arrived = new Promise<Socket>((resolve) => {
    accepted = resolve;
  });
  const sockets = new Set<Socket>();
  const listener = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    accepted(socket);
  });
  const port = await new Promise<number>((resolve) =>
    listener.listen(0, "127.0.0.1", () => {
      const address = listener.address();
      resolve(address !== null && typeof address === "object" ? address.port : 0);
    }),
  );
  const proxy = await startProxy({ targetPort: port, random: seeded(7), label: "link", ...options });
  const socket = connect({ port: proxy.port, host: "127.0.0.1", allowHalfOpen: true });
  const client = endOf(socket);
  const server = endOf(await arrived);
  stops.push(async () => {
    socket.destroy();
    for (const each of sockets) each.destroy();
    await proxy.close();
    await new Promise((resolve) => listener.close(resolve));
  });
  return { proxy, client, server };
}

export const packet = (of: Packet): Buffer => generate(of, { protocolVersion: 4 });
export const hello = packet({ cmd: "connect", clientId: "site-1-sub", protocolId: "MQTT", protocolVersion: 4, clean: true, keepalive: 0 });
export const publish = (n: number, size = 10): Buffer =>
  packet({ cmd: "publish", qos: 1, messageId: n, topic: "a/b", payload: Buffer.alloc(size, n), dup: false, retain: false });
export const puback = (n: number): Buffer => packet({ cmd: "puback", messageId: n });
export const mqttLabel = { label: (clientId: string) => clientId.split("-").at(-1) ?? "" };
/** A round trip both ways: what was sent before it has been through the proxy. */
export async function afterwards({ client, server }: Pair, sent: number, received: number): Promise<void> {
  client.socket.write(packet({ cmd: "pingreq" }));
  await server.gets(sent + 2);
  server.socket.write(packet({ cmd: "pingresp" }));
  await client.gets(received + 2);
}
