#!/usr/bin/env bash
# The sandbox's page in a real browser. Needs Node with npm, and Chromium. PAGE_SHOTS=folder keeps pictures of it.
set -euo pipefail
cd "$(dirname "$0")/.."
CHROMIUM=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
export CHROMIUM
. tests/sandbox.sh
work=$(mktemp -d)
trap 'kill "${sandbox:-}" 2>/dev/null || true; rm -rf "$work"' EXIT

# The library that drives a browser that is there already: it brings none of its own.
npm_install "$work" --ignore-scripts playwright-core@1
start_sandbox "$work" --seeded
said=$(NODE_MODULES="$work/node_modules" timeout 900 node tests/page.mjs "$(sandbox_url "$work" page)" "${PAGE_SHOTS:-}")
echo "the sandbox's page: $said"
[ "$said" = ok ]
