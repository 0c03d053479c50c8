import { createServer } from "node:net";
import { Aedes } from "aedes";

// The embedded broker's own process. It has one parent and ends with it.
const [host = "127.0.0.1", port = "0"] = process.argv.slice(2);
const MOST_OF_A_TOPIC = 65_535;
const broker = await Aedes.createBroker({
  id: "signalbox-embedded",
  // Bytes that are no UTF-8 are read as U+FFFD, which is longer: a topic may come that does not fit into a packet again. Handed on, it would break the connection of whoever hears
  // it, and again on the next one. The broker's own branch is nobody else's.
  authorizePublish: (_client, { topic }, done) =>
    done(topic.startsWith("$SYS/") || Buffer.byteLength(topic) > MOST_OF_A_TOPIC ? new Error("nobody may publish on this topic") : null),
});
const server = createServer(broker.handle);

const end = (): void => {
  server.close();
  broker.close(() => process.exit(0));
  setTimeout(() => process.exit(0), 1_000).unref();
};
process.on("SIGTERM", end);
process.on("SIGINT", () => {});
process.on("disconnect", end);

server.once("error", (error: NodeJS.ErrnoException) => {
  process.send?.(error.code === "EADDRINUSE" ? { taken: true } : { error: error.message }, undefined, undefined, () => process.exit(1));
});
server.listen(Number(port), host, () => {
  const address = server.address();
  process.send?.({ port: typeof address === "object" && address !== null ? address.port : Number(port) });
});
