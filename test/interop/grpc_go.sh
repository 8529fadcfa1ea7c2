#!/bin/sh
# gRPC's interoperability cases, with the client of grpc-go, on the etcd port's framing; plain and
# over TLS. Left out are those that ask for what etcd does not have: custom metadata in answers,
# credentials of clouds, load reports. Builds the client with Go into .cache when it is not there.
# Ends with a line: N passed, N failed.
case "${1:-}" in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" && exit 0 ;; esac
set -eu
. "$(dirname "$0")/with-server.sh"
client="$cache/grpc-go-client"
cases='empty_unary large_unary client_streaming server_streaming ping_pong empty_stream
  timeout_on_sleeping_server cancel_after_begin cancel_after_first_response
  status_code_and_message special_status_message unimplemented_method unimplemented_service'
passed=0
failed=0

build() {
  [ -x "$client" ] && return
  mkdir -p "$cache/grpc-go-module"
  (
    cd "$cache/grpc-go-module"
    [ -f go.mod ] || go mod init interop
    go get google.golang.org/grpc/interop/client@v1.71.1
    go build -o "$client" google.golang.org/grpc/interop/client
  )
}

run_cases() {
  for name in $cases; do
    if "$client" --server_host=localhost --server_port="$PORT" --test_case="$name" "$@" \
      >"$cache/grpc-go.txt" 2>&1; then
      passed=$((passed + 1))
    else
      failed=$((failed + 1))
      echo "FAILED $name $*"
      cat "$cache/grpc-go.txt"
    fi
  done
}

build
make_certificate
start_server "$here/grpc-server.ts"
run_cases
stop_server
start_server "$here/grpc-server.ts" --certificate "$cache/certificate.pem" --key "$cache/key.pem"
run_cases --use_tls --use_test_ca --ca_file="$cache/certificate.pem"
stop_server
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
