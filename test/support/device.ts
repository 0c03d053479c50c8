// The devices of the tests are those of `signalbox device`: an MQTT client each, that numbers its events, waits for the PUBACK, and hears its verdicts and its cursor.
export { createDevice, type SimulatedDevice } from "../../src/cli/simulated-device.mqtt.ts";
