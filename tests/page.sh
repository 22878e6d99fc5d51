#!/usr/bin/env bash
# The sandbox's page in a real browser. Needs Node with npm, and Chromium. PAGE_SHOTS=folder keeps pictures of it.
set -euo pipefail
cd "$(dirname "$0")/.."
CHROMIUM=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
export CHROMIUM
work=$(mktemp -d)
trap 'kill "${pid:-}" 2>/dev/null || true; rm -rf "$work"' EXIT

# The library that drives a browser that is there already: it brings none of its own.
npm install --silent --no-fund --no-audit --ignore-scripts --prefix "$work" playwright-core@1 >/dev/null
[ -x target/debug/flowd ] || cargo build --quiet --bin flowd
target/debug/flowd sandbox --seeded >"$work/out" &
pid=$!
for _ in $(seq 200); do
  grep -q '^These keys' "$work/out" && break
  kill -0 "$pid"
  sleep 0.05
done
said=$(NODE_MODULES="$work/node_modules" timeout 180 node tests/page.mjs "$(sed -n 's/^page: //p' "$work/out")" "${PAGE_SHOTS:-}")
echo "the sandbox's page: $said"
[ "$said" = ok ]
