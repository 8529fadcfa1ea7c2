#!/usr/bin/env bash
# A round of what the etcd door offers, with etcdctl: etcdctl_round.sh HOST:PORT; ETCDCTL names another etcdctl.
case "${1:-}" in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" && exit 0 ;; esac
set -euo pipefail
program=${ETCDCTL:-$(dirname "$0")/../../benchmarks/.cache/etcd/etcdctl}
etcdctl() { "$program" --endpoints "$endpoint" "$@"; }
endpoint=$1
base=etcdctl-$$-$RANDOM
step=0
check() { # description, expected, actual
  step=$((step + 1))
  echo "  etcdctl $1"
  if [ "$2" != "$3" ]; then echo "expected: $2"; echo "got:      $3"; exit 1; fi
}
check "put" OK "$(etcdctl put $base/a 1)"
check "get" $'1' "$(etcdctl get $base/a --print-value-only)"
etcdctl put $base/b 2 > /dev/null
etcdctl put $base/c 3 > /dev/null
check "get --prefix --keys-only" "$base/a $base/b $base/c" "$(etcdctl get $base/ --prefix --keys-only | grep . | xargs)"
check "get --order --limit" "$base/c" "$(etcdctl get $base/ --prefix --keys-only --sort-by=KEY --order=DESCEND --limit=1 | grep .)"
check "get --count-only" '"Count" : 3' "$(etcdctl get $base/ --prefix --count-only --write-out=fields | grep Count)"
check "serializable get" 2 "$(etcdctl get $base/b --consistency=s --print-value-only)"
revision=$(etcdctl get $base/a --write-out=json | sed 's/.*"revision":\([0-9]*\).*/\1/')
etcdctl put $base/a 9 > /dev/null
check "get --rev" 1 "$(etcdctl get $base/a --rev="$revision" --print-value-only)"
check "put --prev-kv" "OK $base/a 9" "$(etcdctl put $base/a 10 --prev-kv | xargs)"
check "del" 1 "$(etcdctl del $base/c)"
check "del of nothing" 0 "$(etcdctl del $base/c)"
check "txn, then" "SUCCESS OK" "$(printf 'value("%s/a") = "10"\n\nput %s/t yes\n\nput %s/t no\n\n' $base $base $base | etcdctl txn | grep . | xargs)"
check "txn, else" "FAILURE $base/t yes" "$(printf 'version("%s/t") > "5"\n\n\nget %s/t\n\n' $base $base | etcdctl txn 2>&1 | grep . | tail -3 | xargs)"
check "a user, while there are none" "OK" "$(etcdctl --user root:x put $base/user x 2> /dev/null)"
check "auth status" "Authentication Status: false AuthRevision: 1" "$(etcdctl auth status | xargs)"
lease=$(etcdctl lease grant 30 | sed 's/lease \([0-9a-f]*\) .*/\1/')
etcdctl put $base/leased x --lease="$lease" > /dev/null
check "lease timetolive --keys" "[$base/leased]" "$(etcdctl lease timetolive --keys "$lease" | sed 's/.*attached keys(\(.*\))/\1/')"
check "lease list" "$lease" "$(etcdctl lease list | grep "$lease")"
check "lease keep-alive --once" "lease $lease keepalived with TTL(30)" "$(etcdctl lease keep-alive --once "$lease")"
check "lease revoke" "lease $lease revoked" "$(etcdctl lease revoke "$lease")"
check "its keys are gone" "" "$(etcdctl get $base/leased)"
check "watch from a revision" "PUT $base/a 9 PUT $base/a 10" "$(timeout 3 "$program" --endpoints "$endpoint" watch $base/a --rev=$((revision + 1)) | xargs || true)"
now=$(etcdctl get $base/a --write-out=json | sed 's/.*"revision":\([0-9]*\).*/\1/')
check "compaction" "compacted revision $now" "$(etcdctl compaction "$now")"
check "a compacted revision" "etcdserver: mvcc: required revision has been compacted" "$(etcdctl get $base/a --rev="$revision" 2>&1 | sed -n 's/.*\(etcdserver: .*compacted\).*/\1/p' | head -1)"
check "member list" 3 "$(etcdctl member list | grep -c started)"
check "endpoint health" 1 "$(etcdctl endpoint health 2>&1 | grep -c 'is healthy')"
check "endpoint health --cluster" 3 "$(etcdctl endpoint health --cluster 2>&1 | grep -c 'is healthy')"
check "endpoint status --cluster -w table" 3 "$(etcdctl endpoint status --cluster -w table | grep -c ' 3.6.14 ')"
check "endpoint status" 1 "$(etcdctl endpoint status | grep -c "$endpoint")"
etcdctl del --prefix $base/ > /dev/null
echo "etcdctl round: $step steps"
