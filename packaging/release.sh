#!/usr/bin/env bash
# A release: programs that come out the same wherever they are built, the package, what is in them, and their sums.
#
#   packaging/release.sh [FOLDER]      default: target/dist
#
# Needs cargo-deb; cargo-cyclonedx for the list of what is in it (`cargo install cargo-deb cargo-cyclonedx`).
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-target/dist}
mkdir -p "$out"

# Names of folders of this machine stay out of the programs; the time of the commit is the time of the files.
cargo_home=${CARGO_HOME:-$HOME/.cargo}
export RUSTFLAGS="--remap-path-prefix=$PWD=/flow --remap-path-prefix=$cargo_home=/cargo ${RUSTFLAGS:-}"
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || date +%s)
export SOURCE_DATE_EPOCH

echo "== programs"
cargo build --release --locked --bin flowd --bin flowc
echo "== package"
cargo deb --no-build --output "$out/"
echo "== what is in it"
if command -v cargo-cyclonedx >/dev/null 2>&1; then
  cargo cyclonedx --format json --override-filename flow-sbom --manifest-path Cargo.toml
  find . -name flow-sbom.json -not -path './target/*' | while read -r sbom; do
    if [ "$sbom" = ./flow-sbom.json ]; then mv "$sbom" "$out/flow.cdx.json"; else rm "$sbom"; fi
  done
else
  echo "without a list of parts: cargo-cyclonedx is not installed" >&2
fi
echo "== sums"
install -m 755 target/release/flowd target/release/flowc "$out/"
(cd "$out" && sha256sum -- flowd flowc ./*.deb ./*.cdx.json 2>/dev/null | tee SHA256SUMS)
