#!/usr/bin/env bash
# Installs what Quorate is measured against, into benchmarks/.cache: a real ZooKeeper (Maven), and a
# real etcd, etcdctl and etcd's own `benchmark` tool (Go modules). Needs java, mvn and go.
# install-peers.sh VERSION: etcd and etcdctl of another version alone, such as 3.7.3, in .cache/etcd-VERSION.
case "${1:-}" in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" && exit 0 ;; esac
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p .cache
cache=$PWD/.cache
zookeeper_version=3.9.5
etcd_version=v3.6.14
benchmark_version=v3.6.8

etcd=$cache/etcd
build() { # module version package binary
  [ -x "$etcd/$4" ] && return
  mkdir -p "$etcd/src-$4"
  (cd "$etcd/src-$4" && [ -f go.mod ] || (cd "$etcd/src-$4" && go mod init peers) >/dev/null 2>&1
    cd "$etcd/src-$4" && go get "$1@$2" && go build -o "../$4" "$3")
}

if [ $# -gt 0 ]; then
  etcd=$cache/etcd-$1
  build go.etcd.io/etcd/server/v3 "v$1" go.etcd.io/etcd/server/v3 etcd
  build go.etcd.io/etcd/etcdctl/v3 "v$1" go.etcd.io/etcd/etcdctl/v3 etcdctl
  exit
fi

if [ ! -d "$cache/zookeeper/lib" ]; then
  mkdir -p "$cache/zookeeper"
  cat > "$cache/zookeeper/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>quorate</groupId><artifactId>peers</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.zookeeper</groupId><artifactId>zookeeper</artifactId><version>$zookeeper_version</version></dependency>
    <dependency><groupId>commons-cli</groupId><artifactId>commons-cli</artifactId><version>1.5.0</version></dependency>
    <dependency><groupId>io.dropwizard.metrics</groupId><artifactId>metrics-core</artifactId><version>4.1.12.1</version></dependency>
    <dependency><groupId>org.xerial.snappy</groupId><artifactId>snappy-java</artifactId><version>1.1.10.5</version></dependency>
    <dependency><groupId>jline</groupId><artifactId>jline</artifactId><version>2.14.6</version></dependency>
  </dependencies>
</project>
POM
  (cd "$cache/zookeeper" && mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib)
fi

build go.etcd.io/etcd/server/v3 "$etcd_version" go.etcd.io/etcd/server/v3 etcd
build go.etcd.io/etcd/etcdctl/v3 "$etcd_version" go.etcd.io/etcd/etcdctl/v3 etcdctl
build go.etcd.io/etcd/v3 "$benchmark_version" go.etcd.io/etcd/v3/tools/benchmark benchmark
ls "$cache/zookeeper/lib" | grep -c jar
ls "$cache/etcd"
