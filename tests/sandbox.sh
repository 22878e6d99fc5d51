# Sourced by what works against the sandbox: starts it, and says where its parts are.

# `start_sandbox FOLDER ARGUMENT…`: what it says stands in FOLDER/out, and `$sandbox` is its process.
start_sandbox() {
  local folder=$1
  shift
  # What `cargo test` has just built; building it by itself would compile its dependencies a second time.
  [ -x target/debug/flowd ] || cargo build --quiet --bin flowd
  target/debug/flowd sandbox "$@" >"$folder/out" &
  sandbox=$!
  for _ in $(seq 2400); do
    grep -q '^These keys' "$folder/out" && return
    kill -0 "$sandbox"
    sleep 0.05
  done
  echo "the sandbox does not start" >&2
  return 1
}

# `sandbox_url FOLDER CONNECTOR`: the address under which a connector is answered; `page` is that of the page.
sandbox_url() {
  sed -n "s/^$2 (simulated) at //p; s/^$2: //p" "$1/out"
}

# `pip_install PYTHON PACKAGE…`, and `npm_install FOLDER PACKAGE…`: an index that is busy for a moment is asked again.
pip_install() {
  local python=$1
  shift
  again "$python" -m pip install --quiet --disable-pip-version-check --retries 10 --timeout 60 "$@"
}
npm_install() {
  local folder=$1
  shift
  again npm install --silent --no-fund --no-audit --fetch-retries 5 --prefix "$folder" "$@" >/dev/null
}
again() {
  for _ in 1 2; do
    if "$@"; then return 0; fi
    sleep 5
  done
  "$@"
}
