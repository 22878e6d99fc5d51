#!/bin/sh
# Fills corpus/TARGET with what the fuzzer begins with: the kept seeds, and the texts of the repository one file each.
# What the fuzzer adds to it is not committed; what it finds is, in seeds/TARGET.
set -eu
cd "$(dirname "$0")"
root=..

# Each block of a page becomes a file, called by its content.
blocks() {
    find "$root/docs" "$root/compiler/codes" -name '*.md' | sort | while read -r page; do
        awk -v out="$1/$(basename "$page" .md)" '
            /^```/ { inside = !inside; if (inside) { at++ } else { close(file) } ; next }
            inside { file = sprintf("%s-%03d", out, at); print > file }' "$page"
    done
}

for target in parse format check config evaluate schedule payload webhook admin record import; do
    corpus=corpus/$target
    mkdir -p "$corpus"
    cp seeds/$target/* "$corpus/"
    case $target in
    parse | format | check)
        blocks "$corpus"
        find "$root/examples" "$root/connectors" "$root/tests" "$root/compiler/tests" "$root/grammar/tests" -name '*.flow' | sort |
            while read -r file; do cp "$file" "$corpus/$(echo "$file" | tr '/.' '__')"; done
        ;;
    config)
        find "$root/tests" "$root/examples" \( -name '*.toml' -o -name '*.lock' \) | sort |
            while read -r file; do cp "$file" "$corpus/$(echo "$file" | tr '/.' '__')"; done
        awk -v out="$corpus/page" '
            /^```toml/ { inside = 1; at++; next }
            /^```/ { inside = 0 }
            inside { print > sprintf("%s-%03d", out, at) }' "$root"/docs/language/*.md "$root"/docs/tutorial/*.md
        ;;
    payload) cp "$root"/connectors/fixtures/*.json "$corpus/" ;;
    esac
done
