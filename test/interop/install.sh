#!/usr/bin/env bash
# Installs the clients that the interoperability rounds use, into test/interop/.cache: kazoo (PyPI),
# node-zookeeper-client and etcd3 (npm), zkCli (Maven) and etcdctl (Go; shared with benchmarks/).
case "${1:-}" in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" && exit 0 ;; esac
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p .cache
if [ ! -x .cache/python/bin/python ]; then
  python3 -m venv .cache/python
  .cache/python/bin/pip install --quiet kazoo==2.10.0
fi
if [ ! -d .cache/npm/node_modules/etcd3 ]; then
  mkdir -p .cache/npm
  echo '{"private":true}' > .cache/npm/package.json
  npm install --prefix .cache/npm --silent --no-audit --no-fund node-zookeeper-client@1.1.3 etcd3@1.1.2
fi
../../benchmarks/install-peers.sh > /dev/null
