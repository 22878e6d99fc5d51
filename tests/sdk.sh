#!/usr/bin/env bash
# The services' own client libraries against the sandbox: Stripe's create, list, page and delete; Customer.io's let people and
# events in and send mails; pysesame3's unlock, lock and click.
# Needs python3 with venv; the npm library is tried where node is there.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/sandbox.sh
work=$(mktemp -d)
trap 'kill "${sandbox:-}" 2>/dev/null || true; rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
pip_install "$work/venv/bin/python" stripe customerio "pysesame3[cognito]"

# They do more at once than an account in test mode may, and try nothing again that was refused for it.
start_sandbox "$work" --rate stripe=none --rate customerio=none
url=$(sandbox_url "$work" stripe)
sesame=$(sandbox_url "$work" sesame)
customerio=$(sandbox_url "$work" customerio)

expect_ok() {
  local name=$1 said
  shift
  said=$("$@")
  echo "$name: $said"
  [ "$said" = ok ]
}
expect_ok "pip stripe" "$work/venv/bin/python" sandbox/tests/sdk_stripe.py "$url"
expect_ok "pip customerio" "$work/venv/bin/python" sandbox/tests/sdk_customerio.py "$customerio"
expect_ok "pip pysesame3" "$work/venv/bin/python" sandbox/tests/sdk_sesame.py "$sesame"
if command -v npm >/dev/null 2>&1; then
  npm_install "$work" stripe customerio-node
  NODE_MODULES="$work/node_modules" expect_ok "npm stripe" node sandbox/tests/sdk_stripe.mjs "$url"
  NODE_MODULES="$work/node_modules" expect_ok "npm customerio-node" node sandbox/tests/sdk_customerio.mjs "$customerio"
fi
