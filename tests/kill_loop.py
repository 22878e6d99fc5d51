#!/usr/bin/env python3
"""kill -9 while events are in flight, over and over: nothing accepted is lost, nothing is made twice.

Starts a service of its own that honours idempotency keys and can be asked what it has, and a flowd over flows with an
action of each class: keyed, findable, once, and flows with limits, turns and waits. Senders post signed events without a pause, flows are edited meanwhile, and
flowd is killed at random instants and started again. At the end every event that was answered with 200 has run, in one
version of its flow; no keyed or findable effect was made twice; no `once` request was sent twice, and each that has no
known outcome is dead, says so, and was announced.

    python3 tests/kill_loop.py [--kills 50] [--senders 3] [--seed 1] [--bin target/debug]
"""
import argparse
import collections
import hashlib
import hmac
import http.server
import json
import os
import random
import re
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request

SECRET = "whsec_kill_loop_0123456789"

SINK = """connector sink "Sink" {
  base "https://sink.example"
  record Thing { id: text @key }
  query by_ref(ref: text) -> Thing? @internal { GET "/found/{ref}" none on 404 }
  action keyed(text: text) -> Thing { POST "/keyed" json { text } effect keyed header "Idempotency-Key" for 24 hours }
  action found(text: text) -> Thing { POST "/found" json { text, ref: run.key } effect findable by by_ref(ref: run.key) }
  action once(text: text) -> Thing { POST "/once" json { text } effect once }
}
"""

FLOWS = """flow mix
  when stripe.charge_failed
  do {{
    sink.keyed(text: "{version} {{id}}")
    sink.found(text: id)
  }}

flow gamble
  when stripe.charge_failed
  do sink.once(text: id)

flow counted
  when stripe.charge_failed
  fresh within 1 hour
  once per id
  at most 1000000 per hour
  do sink.keyed(text: "counted {{id}}")

flow turns
  when stripe.charge_failed where customer is present
  one at a time per customer
  throttle to 1000 per second
  do sink.keyed(text: "turns {{id}}")

flow later
  when stripe.charge_failed
  do {{
    wait 1 second
    sink.keyed(text: "later {{id}}")
  }}

flow reports
  when flow.dead
  do sink.keyed(text: "report {{flow}} {{event_id else flow}}: {{error}}")
"""


# Flows beside `mix` whose every run is done, and made once.
LIMITED = ("counted", "turns", "later")


class Sink(http.server.ThreadingHTTPServer):
    """A service with a state of its own."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.keyed, self.found = {}, {}
        self.made = collections.Counter()
        self.once = collections.Counter()

    def handle_error(self, *_):
        """Whoever asks is killed now and then."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, value):
        body = json.dumps(value).encode()
        try:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def do_GET(self):
        reference = self.path.rsplit("/", 1)[-1]
        with self.server.lock:
            known = reference in self.server.found
        self.answer(200 if known else 404, {"id": reference})

    def do_POST(self):
        try:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        except (OSError, ValueError):
            self.close_connection = True
            return
        text, sink = body["text"], self.server
        with sink.lock:
            if self.path == "/keyed":
                key = self.headers["idempotency-key"]
                if key not in sink.keyed:
                    sink.keyed[key] = text
                    sink.made["keyed", text] += 1
            elif self.path == "/found":
                key = body["ref"]
                sink.found[key] = text
                sink.made["found", text] += 1
            else:
                key = text
                sink.once[text] += 1
        self.answer(200, {"id": key})


def get(url):
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.load(answer)


def wait_for(what, probe, patience=300.0):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            found = probe()
        except (OSError, ValueError, KeyError):
            found = None
        if found:
            return found
        time.sleep(0.02)
    raise SystemExit(f"never happened: {what}")


class Flowd:
    def __init__(self, program, folder):
        self.program, self.folder, self.child = program, folder, None
        self.env = dict(os.environ, WHSEC=SECRET)

    def start(self):
        addresses = os.path.join(self.folder, ".flow", "addresses.json")
        if os.path.exists(addresses):
            os.remove(addresses)
        with open(os.path.join(self.folder, "flowd.log"), "a") as log:
            self.child = subprocess.Popen(
                [self.program, "run", self.folder], env=self.env, stdout=subprocess.DEVNULL, stderr=log
            )

        def ready():
            if self.child.poll() is not None:
                raise SystemExit(f"flowd ended with {self.child.returncode}: see {self.folder}/flowd.log")
            with open(addresses) as file:
                found = json.load(file)
            return found if urllib.request.urlopen(found["server"] + "/readyz", timeout=5).status == 200 else None

        found = wait_for("flowd is ready", ready)
        self.server, self.admin = found["server"], found["admin"]

    def kill(self):
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()


class Senders:
    """Post events without a pause; an event is sent until it is answered with 200, as services do."""

    def __init__(self, count, url, sink):
        self.url, self.sink = url, sink
        self.accepted, self.lock, self.over = set(), threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self.send, args=(lane,), daemon=True) for lane in range(count)]
        for thread in self.threads:
            thread.start()

    def send(self, lane):
        number = 0
        while not self.over.is_set():
            number += 1
            self.deliver(f"{lane}_{number}")

    def deliver(self, name):
        charge = {
            "id": f"ch_{name}", "object": "charge", "amount": 20000, "amount_captured": 0, "amount_refunded": 0,
            "billing_details": {"email": f"u{name}@example.com"}, "captured": False, "created": int(time.time()),
            "currency": "usd", "customer": f"cus_{name[-1]}", "livemode": False, "metadata": {}, "paid": False, "refunded": False, "status": "failed",
        }
        event = {
            "id": f"evt_{name}", "object": "event", "api_version": "2026-10-28.endive", "created": int(time.time()),
            "data": {"object": charge}, "livemode": False, "type": "charge.failed",
        }
        body = json.dumps(event).encode()
        while True:
            at = int(time.time())
            mac = hmac.new(SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
            headers = {"content-type": "application/json", "stripe-signature": f"t={at},v1={mac}"}
            request = urllib.request.Request(self.url + "/v1/webhooks/stripe", body, headers, method="POST")
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    if answer.status == 200:
                        with self.lock:
                            self.accepted.add(name)
                        return
            except OSError:
                # It is down, or was killed before it answered: the same event comes again.
                time.sleep(0.02)
            if self.over.is_set():
                return

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join()


def runs_of(flowd, flow):
    runs, before = [], ""
    while True:
        page = get(f"{flowd.admin}/api/v1/runs?flow={flow}&limit=1000{before}")
        runs += page["runs"]
        if not page.get("next"):
            return runs
        before = f"&after={page['next']}"


def write_flows(folder, version):
    """As editors do: under another name, then in its place."""
    path = os.path.join(folder, "main.flow")
    with open(path + ".new", "w") as file:
        file.write(FLOWS.format(version=version))
    os.replace(path + ".new", path)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--senders", type=int, default=3)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--bin", default="target/debug")
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else random.randrange(1 << 30)
    print(f"seed {seed}", flush=True)
    chance = random.Random(seed)
    program = os.path.abspath(os.path.join(args.bin, "flowd"))
    sink = Sink()
    threading.Thread(target=sink.serve_forever, daemon=True).start()

    with tempfile.TemporaryDirectory() as folder:
        port = 20000 + chance.randrange(20000)
        with open(os.path.join(folder, "flow.toml"), "w") as file:
            file.write(
                f'[server]\nlisten = "127.0.0.1:{port}"\n[admin]\nlisten = "127.0.0.1:0"\n'
                '[run]\nflood = 0\n[connections.stripe]\nwebhook_secret = { env = "WHSEC" }\n'
                f'[connections.sink]\nbase_url = "http://127.0.0.1:{sink.server_port}"\n'
            )
        with open(os.path.join(folder, "sink.flow"), "w") as file:
            file.write(SINK)
        write_flows(folder, "v0")
        flowd = Flowd(program, folder)
        flowd.start()
        senders = Senders(args.senders, f"http://127.0.0.1:{port}", sink)
        for kill in range(1, args.kills + 1):
            if chance.random() < 0.3:
                write_flows(folder, f"v{kill}")
            # The instant is random; nothing is waited for.
            time.sleep(chance.random() * 0.6)
            flowd.kill()
            flowd.start()
            if kill % 50 == 0:
                print(f"{kill} kills, {len(senders.accepted)} events accepted", flush=True)
        senders.stop()
        wait_for("everything has ended", lambda: get(flowd.admin + "/api/v1/status")["engine"]["active"] == 0, 1800)
        accepted = senders.accepted
        mix = {run["event"]: run for run in runs_of(flowd, "mix")}
        gamble = {run["event"]: run for run in runs_of(flowd, "gamble")}
        limited = {flow: {run["event"]: run for run in runs_of(flowd, flow)} for flow in LIMITED}
        alarms = [alarm for alarm in get(flowd.admin + "/api/v1/status")["alarms"] if alarm["subject"] == "gamble"]
        counted = alarms[0]["count"] if alarms else 0
        flowd.kill()

    lost = [name for name in accepted if mix.get(f"evt_{name}", {}).get("status") != "done"]
    for flow, runs in limited.items():
        lost += [f"{flow} {name}" for name in accepted if runs.get(f"evt_{name}", {}).get("status") != "done"]
    unmade = [name for name in accepted if sink.made["found", f"ch_{name}"] == 0]
    unmade += [f"{flow} {name}" for flow in LIMITED for name in accepted if sink.made["keyed", f"{flow} ch_{name}"] == 0]
    # A keyed effect of `mix` carries the version of its flow: one event is run by one version.
    by_event = collections.Counter()
    for (kind, text), times in sink.made.items():
        if kind == "keyed" and not text.startswith("report "):
            by_event[re.sub(r"^v\d+ ", "mix ", text)] += times
    twice = [text for text, times in by_event.items() if times > 1]
    twice += [text for (kind, text), times in sink.made.items() if kind == "found" and times > 1]
    again = [text for text, times in sink.once.items() if times > 1]
    told = {text.split(": ", 1)[0] for text in sink.keyed.values() if text.startswith("report ")}
    unknown, silent = 0, []
    for name in accepted:
        run = gamble.get(f"evt_{name}")
        if run is None:
            lost.append(name)
        elif run["status"] != "done":
            unknown += 1
            says = run["status"] == "dead" and "the outcome is unknown" in (run["reason"] or "")
            if not says:
                silent.append(name)
    # Of many deaths in a row the first ten are announced one by one, the others together; all of them are an alarm.
    dead = sum(run["status"] == "dead" for run in gamble.values())
    if counted != dead or (dead and not told):
        silent.append(f"{dead} dead, {counted} in the alarm, {len(told)} told one by one")
    print(
        f"{args.kills} kills, {len(accepted)} accepted events in {2 + len(LIMITED)} flows: {len(lost)} lost, {len(unmade)} without effect, "
        f"{len(twice)} keyed or findable effects made twice, {len(again)} `once` sent again, "
        f"{unknown} of unknown outcome, of which {len(silent)} were not reported"
    )
    for what in (lost, unmade, twice, again, silent):
        if what:
            print(what[:10])
    raise SystemExit(0 if not (lost or unmade or twice or again or silent) else 1)


main()
