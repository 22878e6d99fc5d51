#!/usr/bin/env bash
# Another emulator of Stripe, localstripe from PyPI: it signs an event, flowd takes it, runs, and changes the customer there.
# Needs python3 with venv and curl.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/sandbox.sh
work=$(mktemp -d)
trap 'kill ${theirs:-} ${ours:-} ${holder:-} 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
pip_install "$work/venv/bin/python" localstripe
[ -x target/debug/flowd ] || cargo build --quiet --bin flowd

# A port that the system gives to nobody else meanwhile: bound, and listened at by nobody until localstripe does.
python3 -c 'import socket, time; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", 0)); print(s.getsockname()[1], flush=True); time.sleep(3600)' >"$work/port" &
holder=$!
# Tries a command until it succeeds; the log tells why it never does.
until_true() {
  for _ in $(seq 1200); do
    if "$@" >/dev/null 2>&1; then return 0; fi
    sleep 0.1
  done
  echo "never happened: $*" >&2
  cat "$work"/*.log >&2
  return 1
}

until_true test -s "$work/port"
port=$(cat "$work/port")
(cd "$work" && exec "$work/venv/bin/localstripe" --port "$port" --from-scratch) >"$work/localstripe.log" 2>&1 &
theirs=$!
url="http://127.0.0.1:$port"
key=sk_test_12345
secret=whsec_localstripe

until_true curl -sf -u "$key:" "$url/v1/customers"

mkdir "$work/project"
cat >"$work/project/flow.toml" <<TOML
[server]
listen = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:0"
[connections.stripe]
key = "$key"
webhook_secret = "$secret"
base_url = "$url"
poll = false
TOML
cat >"$work/project/main.flow" <<'FLOW'
flow welcome
  when stripe.new_customer
  where email is present
  do stripe.update_customer(customer: id, description: "welcomed by flowd")
FLOW
target/debug/flowd run "$work/project" --allow-literal-secrets >"$work/flowd.log" 2>&1 &
ours=$!
until_true test -s "$work/project/.flow/addresses.json"
server=$(sed -n 's/.*"server": *"\([^"]*\)".*/\1/p' "$work/project/.flow/addresses.json" | head -1)
until_true curl -sf "$server/readyz"

# Signed as flowd expects it.
curl -sf "$url/_config/webhooks/flowd" -d url="$server/v1/webhooks/stripe" -d secret="$secret" >/dev/null
customer=$(curl -sf -u "$key:" "$url/v1/customers" -d email=ada@example.com -d name=Ada |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])')

welcomed() { curl -sf -u "$key:" "$url/v1/customers/$customer" | grep -q 'welcomed by flowd'; }
until_true welcomed

curl -sf "$url/_config/webhooks/flowd" -d url="$server/v1/webhooks/stripe" -d secret=whsec_forged >/dev/null
curl -sf -u "$key:" "$url/v1/customers" -d email=eve@example.com >/dev/null
until_true grep -q 'failed with response code 401' "$work/localstripe.log"
admin=$(sed -n 's/.*"admin": *"\([^"]*\)".*/\1/p' "$work/project/.flow/addresses.json" | head -1)
runs=$(curl -sf "$admin/api/v1/runs" | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["runs"]))')
[ "$runs" = 1 ] || { echo "$runs runs instead of 1" >&2; exit 1; }
echo "localstripe: ok"
