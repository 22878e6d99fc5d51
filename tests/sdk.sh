#!/usr/bin/env bash
# Stripe's own client libraries against the sandbox: create, list, page, delete.
# Needs python3 with venv; the npm library is tried where node is there.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'kill "${pid:-}" 2>/dev/null || true; rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check stripe

# What `cargo test` has just built; building it by itself would compile its dependencies a second time.
[ -x target/debug/flowd ] || cargo build --quiet --bin flowd
target/debug/flowd sandbox --seeded >"$work/out" &
pid=$!
for _ in $(seq 200); do
  grep -q '^These keys' "$work/out" && break
  kill -0 "$pid"
  sleep 0.05
done
url=$(sed -n 's/^stripe (simulated) at //p' "$work/out")

echo "pip stripe: $("$work/venv/bin/python" sandbox/tests/sdk_stripe.py "$url")"
if command -v npm >/dev/null 2>&1; then
  npm install --silent --no-fund --no-audit --prefix "$work" stripe >/dev/null
  echo "npm stripe: $(NODE_MODULES="$work/node_modules" node sandbox/tests/sdk_stripe.mjs "$url")"
fi
