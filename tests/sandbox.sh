# Sourced by what works against the sandbox: starts it, and says where its parts are.

# `start_sandbox FOLDER ARGUMENT…`: what it says stands in FOLDER/out, and `$sandbox` is its process.
start_sandbox() {
  local folder=$1
  shift
  # What `cargo test` has just built; building it by itself would compile its dependencies a second time.
  [ -x target/debug/flowd ] || cargo build --quiet --bin flowd
  target/debug/flowd sandbox "$@" >"$folder/out" &
  sandbox=$!
  for _ in $(seq 200); do
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
