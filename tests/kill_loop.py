#!/usr/bin/env python3
"""kill -9 while events are in flight, over and over: nothing accepted is lost, nothing is created twice.

Starts the emulators by themselves, a flowd over a flow that creates a Stripe customer for each failed charge, sends
bursts of signed webhooks, kills flowd at a random instant of each burst, and starts it again. At the end every event
that flowd answered with 200 has run, and no charge has two customers.

    python3 tests/kill_loop.py [--rounds 20] [--events 200] [--seed 1] [--bin target/debug]
"""
import argparse
import json
import os
import random
import signal
import subprocess
import tempfile
import time
import urllib.request

FLOW = """flow mirror
  when stripe.charge_failed
  where customer_email is present
  do stripe.create_customer(email: customer_email, name: "Mirror of {id}")
"""


def get(url, method="GET", data=None):
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def wait_for(what, probe, patience=120.0):
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
    def __init__(self, program, folder, env):
        self.program, self.folder, self.env, self.child = program, folder, env, None

    def start(self):
        addresses = os.path.join(self.folder, ".flow", "addresses.json")
        if os.path.exists(addresses):
            os.remove(addresses)
        log = open(os.path.join(self.folder, "flowd.log"), "a")
        self.child = subprocess.Popen([self.program, "run", self.folder], env=self.env, stdout=subprocess.DEVNULL, stderr=log)

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


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--bin", default="target/debug")
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else random.randrange(1 << 30)
    print(f"seed {seed}")
    chance = random.Random(seed)
    program = os.path.abspath(os.path.join(args.bin, "flowd"))

    sandbox = subprocess.Popen([program, "sandbox"], stdout=subprocess.PIPE, text=True)
    told = {}
    connector = None
    for line in sandbox.stdout:
        words = line.split()
        if "(simulated)" in words:
            connector = words[0]
            told[connector] = {"url": words[-1]}
        elif line.startswith("These keys"):
            break
        else:
            told[connector][words[0]] = words[1]
    stripe = told["stripe"]

    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "mirror.flow"), "w") as file:
            file.write(FLOW)
        # Ports stay, since the emulator keeps delivering to the same address while flowd is down.
        port = 20000 + chance.randrange(20000)
        with open(os.path.join(folder, "flow.toml"), "w") as file:
            file.write(
                f'[server]\nlisten = "127.0.0.1:{port}"\n[admin]\nlisten = "127.0.0.1:0"\n'
                '[connections.stripe]\nkey = { env = "KEY" }\nwebhook_secret = { env = "WHSEC" }\npoll = "5 seconds"\n'
                f'base_url = "{stripe["url"]}"\n'
            )
        env = dict(os.environ, KEY=stripe["key"], WHSEC=stripe["webhook_secret"])
        flowd = Flowd(program, folder, env)
        flowd.start()
        get(stripe["url"] + "/_sandbox/webhook_target", "PUT", {"url": f"http://127.0.0.1:{port}/v1/webhooks/stripe"})
        sent = 0
        for round_ in range(args.rounds):
            get(
                stripe["url"] + "/_sandbox/events",
                "POST",
                {"type": "charge.failed", "amount": 25000, "currency": "usd", "email": f"r{round_}@example.com", "count": args.events, "payment_intent": False},
            )
            sent += args.events
            time.sleep(chance.random() * 0.8)
            flowd.kill()
            flowd.start()

        def all_ran():
            status = get(flowd.admin + "/api/v1/status")
            state = get(stripe["url"] + "/_sandbox/state")
            mirrors = [c for c in state["customers"] if (c.get("name") or "").startswith("Mirror of ")]
            return (status, mirrors) if status["engine"]["active"] == 0 and len({c["name"] for c in mirrors}) >= sent else None

        status, mirrors = wait_for("every event has run", all_ran, 300)
        names = [customer["name"] for customer in mirrors]
        twice = len(names) - len(set(names))
        dead = status["engine"]["dead"]
        flowd.kill()
    sandbox.terminate()
    print(f"{sent} events, {args.rounds} kills: {len(set(names))} customers, {twice} twice, {dead} dead")
    raise SystemExit(0 if twice == 0 and dead == 0 and len(set(names)) == sent else 1)


main()
