export interface Running {
  readonly url: string;
  readonly mqttUrl: string;
  readonly embedded: { readonly postgres: boolean; readonly broker: boolean };
  readonly dataDir: string;
  readonly topicPrefix: string;
  /** Whether somebody administers it, so that everybody is asked who they are. */
  readonly claimed: boolean;
}

/** What a person reads when the service has started: where it is, what to do next, and what the embedded parts are not. */
export function banner(running: Running): string[] {
  const { url, mqttUrl, embedded, dataDir, topicPrefix, claimed } = running;
  const { hostname, port } = new URL(mqttUrl);
  const lines = [
    "Signalbox is running.",
    "",
    `  REST   ${url}`,
    `  docs   ${url}/docs`,
    `  MQTT   ${withoutPassword(mqttUrl)}${embedded.broker ? "   (embedded, for trying out)" : ""}`,
    ...(embedded.postgres ? [`  data   ${dataDir}   (embedded Postgres)`] : []),
    "",
    "What to do next:",
    `  npx signalbox registry apply examples/plant --url ${url}`,
    `  npx signalbox device --url ${url} --mqtt-url ${withoutPassword(mqttUrl)}`,
    `  npx signalbox tail --mqtt-url ${withoutPassword(mqttUrl)}`,
    `  mosquitto_pub -h ${hostname} -p ${port === "" ? "1883" : port} -q 1 -t '${topicPrefix}site/rtm1/line/4/eq/scale-1/event' -m '{"hello":"world"}'`,
    "    (refused, with a reason: once its plant is registered, every delivery gets a verdict)",
    ...(claimed
      ? []
      : [
          "",
          "Nobody administers it yet. This makes the first administrator, from whom on everybody is asked who they are:",
          "  npx signalbox admin create NAME --reason 'first start'",
        ]),
    "",
  ];
  if (embedded.broker) {
    lines.push(
      "The embedded broker is for trying out: it speaks MQTT 3.1.1 and keeps its queue in memory, so what a device has sent and the",
      "service has not yet taken is lost when it stops. The promise that nothing is lost begins at the service here, not at the device.",
      "For a plant, set MQTT_URL to a broker that keeps its queue on disk.",
      "",
    );
  }
  lines.push("Ctrl-C stops it cleanly.");
  return lines;
}

export function withoutPassword(address: string): string {
  const url = new URL(address);
  url.username = "";
  url.password = "";
  return url.href.replace(/\/$/, "");
}
