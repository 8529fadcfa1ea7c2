#!/usr/bin/env bash
# A round of what the ZooKeeper door offers, with zkCli of a real ZooKeeper: zkcli_round.sh HOST:PORT
case "${1:-}" in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" && exit 0 ;; esac
set -euo pipefail
server=$1
lib="$(dirname "$0")/../../benchmarks/.cache/zookeeper/lib"
base=/zkcli-$$-$RANDOM
output=$(java -cp "$lib/*" org.apache.zookeeper.ZooKeeperMain -timeout 10000 -waitforconnection -server "$server" 2>&1 <<COMMANDS
create $base first
get -s $base
set $base second
get $base
create $base/child data
create -e $base/ephemeral e
create -s $base/seq- s
ls -s $base
stat $base/child
getAcl $base
get -w $base/child
set $base/child watched
setAcl $base/child world:anyone:cdrwa
stat $base/child
addauth digest user:password
create $base/secret hidden auth:user:password:cdrwa
getAcl $base/secret
get $base/secret
sync $base
delete $base/child
get $base/none
create $base
ls /zookeeper
deleteall $base
ls /
quit
COMMANDS
)
step=0
expect() { # text that must be in what zkCli printed
  step=$((step + 1))
  if ! grep -qF -- "$1" <<< "$output"; then
    echo "zkCli did not print: $1"
    echo "$output"
    exit 1
  fi
  echo "  zkCli $1"
}
expect "Created $base"
expect "dataVersion = 0"
expect "second"
expect "Created $base/child"
expect "Created $base/ephemeral"
expect "Created ${base}/seq-0000000002"
expect "[child, ephemeral, seq-0000000002]"
expect "numChildren = 3"
expect "'world,'anyone"
expect "type:NodeDataChanged path:$base/child"
expect "aclVersion = 1"
expect "'digest,'user:"
expect "hidden"
expect "Sync is OK"
expect "Node does not exist: $base/none"
expect "Node already exists: $base"
expect "[config, quota]"
if grep -qF "KeeperErrorCode = ConnectionLoss" <<< "$output"; then echo "a connection was lost"; exit 1; fi
echo "zkCli round: $step steps"
