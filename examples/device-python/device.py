#!/usr/bin/env python3
"""A device that loses no event: numbered, on disk before it is sent, and kept there until the service's cursor has passed it.

Reads one event per line from standard input, such as
  {"type": "step.evidence", "batchid": "B-1", "stepid": "weigh", "data": {"evidence": "net-weight", "value": "12.503", "unit": "kg"}}
and ends when the input has ended and everything is decided. Works with paho-mqtt 1.6 and 2.x.
"""
import argparse
import json
import os
import sys
import threading
from datetime import datetime, timezone
from urllib.parse import urlparse

import paho.mqtt.client as mqtt


def replace_file(path, text):
    """All or nothing, also when the power fails."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)


def next_boot(path):
    """The epoch: a counter that rises with every start and is on disk before it is used."""
    try:
        with open(path, encoding="utf-8") as file:
            count = int(file.read())
    except FileNotFoundError:
        count = 0
    replace_file(path, str(count + 1))
    return count + 1


class Spool:
    """Events that are not yet decided, one JSON line each, in the order of their numbers."""

    def __init__(self, path):
        self.path = path
        self.events = []
        try:
            with open(path, encoding="utf-8") as file:
                # a last line without its end was never sent: the power failed while it was written
                self.events = [json.loads(line) for line in file if line.endswith("\n")]
        except FileNotFoundError:
            pass

    def append(self, event):
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.events.append(event)

    def keep(self, events):
        self.events = events
        replace_file(self.path, "".join(json.dumps(event) + "\n" for event in events))


class Device:
    def __init__(self, source, directory, resend_after):
        self.source = source
        self.branch = source[1:].split("/device/")[0]
        self.resend_after = resend_after
        self.epoch = next_boot(os.path.join(directory, "boot"))
        self.spool = Spool(os.path.join(directory, "spool.jsonl"))
        # What an earlier boot left goes on in this epoch under its old ids: what was decided already comes back as a duplicate, the rest is decided now.
        self.spool.keep([dict(event, epoch=str(self.epoch), sequence=str(i + 1)) for i, event in enumerate(self.spool.events)])
        self.sequence = len(self.spool.events)
        self.changed = threading.Condition()  # guards the spool; notified when the cursor has moved
        self.connected = False
        paho_2 = [mqtt.CallbackAPIVersion.VERSION2] if hasattr(mqtt, "CallbackAPIVersion") else []
        self.client = mqtt.Client(*paho_2, client_id="device-" + source[1:].replace("/", "-"))
        self.client.reconnect_delay_set(min_delay=1, max_delay=10)
        self.client.on_connect = self.on_connect
        self.client.on_disconnect = self.on_disconnect
        self.client.on_message = self.on_cursor

    def on_connect(self, client, *_):
        self.connected = True
        client.subscribe(self.source[1:] + "/cursor", qos=1)  # retained: it comes at once, and with every change
        with self.changed:
            self.publish(self.spool.events)

    def on_disconnect(self, *_):
        self.connected = False

    def on_cursor(self, client, userdata, message):
        cursor = json.loads(message.payload)["data"]
        if cursor["epoch"] != str(self.epoch):
            return  # of an earlier boot
        with self.changed:
            kept = [event for event in self.spool.events if int(event["sequence"]) > int(cursor["through"])]
            self.spool.keep(kept)
            lacks = lambda n: any(gap["epoch"] == cursor["epoch"] and int(gap["from"]) <= n <= int(gap["to"]) for gap in cursor["missing"])
            self.publish([event for event in kept if lacks(int(event["sequence"]))])
            self.changed.notify_all()

    def publish(self, events):
        for event in events if self.connected else []:
            self.client.publish(self.branch + "/event", json.dumps(event), qos=1)

    def record(self, said):
        with self.changed:
            self.sequence += 1
            event = {
                "specversion": "1.0", "id": "%s-%d-%d" % (self.source.split("/")[-1], self.epoch, self.sequence), "source": self.source,
                "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z"), "timesource": "ntp",
                "epoch": str(self.epoch), "sequence": str(self.sequence), **said, "type": "signalbox.%s.v1" % said["type"],
            }
            self.spool.append(event)
            self.publish([event])

    def drain(self):
        """Waits until the cursor has passed everything. What it does not pass in a while is sent again: harmless, the service knows it."""
        with self.changed:
            while self.spool.events:
                if not self.changed.wait(timeout=self.resend_after):
                    self.publish(self.spool.events)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--url", default="mqtt://127.0.0.1:1883")
    options.add_argument("--source", required=True, help="/site/{s}/line/{l}/eq/{e}[/device/{d}]")
    options.add_argument("--dir", default=".", help="where the boot counter and the spool are kept")
    options.add_argument("--resend-after", type=float, default=5, help="seconds")
    given = options.parse_args()
    broker = urlparse(given.url)
    device = Device(given.source, given.dir, given.resend_after)
    device.client.connect_async(broker.hostname, broker.port or 1883, keepalive=30)
    device.client.loop_start()
    for line in sys.stdin:
        device.record(json.loads(line))
        print("recorded", device.sequence, flush=True)
    device.drain()
    device.client.disconnect()
    device.client.loop_stop()
    print("all decided", flush=True)


if __name__ == "__main__":
    main()
