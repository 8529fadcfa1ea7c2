#!/bin/sh
# HTTP/2 conformance of the etcd port: h2spec, all sections, strict.
#   test/interop/h2spec.sh                  starts a server, runs plain and over TLS
#   test/interop/h2spec.sh PORT [--tls]     runs against what listens there
# Builds h2spec with Go into .cache when it is not there. A case that is skipped counts as failed.
# Ends with a line: N passed, N failed.
case "${1:-}" in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" && exit 0 ;; esac
set -eu
. "$(dirname "$0")/with-server.sh"
h2spec="$cache/h2spec"
passed=0
failed=0

build() {
  [ -x "$h2spec" ] && return
  mkdir -p "$cache/h2spec-module"
  (
    cd "$cache/h2spec-module"
    [ -f go.mod ] || go mod init interop
    go get github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible
    go build -o "$h2spec" github.com/summerwind/h2spec/cmd/h2spec
  )
}

run() { # port, '' or --tls
  result="$cache/h2spec$2.txt"
  "$h2spec" --strict --port "$1" ${2:+--tls --insecure} >"$result" 2>&1 || true
  # N tests, N passed, N skipped, N failed
  counts=$(sed -n 's/^\([0-9]*\) tests, \([0-9]*\) passed, .*/\1 \2/p' "$result")
  all=${counts% *}
  good=${counts#* }
  if [ -z "$counts" ]; then
    cat "$result"
    all=1 good=0
  elif [ "$all" -ne "$good" ]; then
    sed -n '/^Failures:/,$p' "$result"
    grep 'skipped' "$result" || true
  fi
  passed=$((passed + good))
  failed=$((failed + all - good))
}

build
if [ $# -gt 0 ]; then
  run "$1" "${2:-}"
else
  make_certificate
  start_server "$here/h2-server.ts"
  run "$PORT" ''
  stop_server
  start_server "$here/h2-server.ts" --certificate "$cache/certificate.pem" --key "$cache/key.pem"
  run "$PORT" --tls
  stop_server
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
