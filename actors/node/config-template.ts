/**
 * The commented config file that `quorate init` and `quorate dev` write, and the example at the
 * root of the repository (a test holds the two together).
 */
export interface TemplateNode {
  readonly index: number
  readonly nodeCount: number
  readonly dataDirectory: string
  readonly clusterName: string
  /** Default: none, which only loopback allows. */
  readonly secretFile?: string
  /** Default: none. */
  readonly compaction?: 'periodic'
  /** In YAML; default: those that say nothing about clients. */
  readonly fourLetterWords?: string
}

/** Ports of the local cluster: node i = 1 … 5 (README). */
export function localPorts(index: number): {
  zookeeper: number
  etcd: number
  peer: number
  admin: number
} {
  const etcd = index === 1 ? 2379 : 12379 + (index - 1) * 10000
  return { zookeeper: 2180 + index, etcd, peer: 7100 + index, admin: 7200 + index }
}

export const localNodesMax = 5

function secretLine(file: string | undefined): string {
  return file === undefined ? '  # secretFile: FILE' : `  secretFile: ${JSON.stringify(file)}`
}

export function configTemplate(node: TemplateNode): string {
  const ports = localPorts(node.index)
  const members = Array.from({ length: node.nodeCount }, (_, at) => at + 1)
    .map(id => {
      const { peer, etcd } = localPorts(id)
      return `    - { name: node${id}, id: ${id}, peer: "127.0.0.1:${peer}", etcd: "127.0.0.1:${etcd}" }`
    })
    .join('\n')
  return `# Configuration of one Quorate node. Start it with: quorate start --config FILE
# Every key can be set from the environment as well: QUORATE_CLUSTER__NAME=other sets cluster.name,
# QUORATE_TIMINGS__HEARTBEAT_MILLIS=50 sets timings.heartbeatMillis. A variable that names no key is
# warned of and ignored.

# The name of this node, one of cluster.members.
node: node${node.index}

# Everything the node keeps. Never copy or share it between nodes.
dataDirectory: ${JSON.stringify(node.dataDirectory)}
# Put the journal on a disk of its own (default: inside dataDirectory). Not shared either.
# logDirectory: /var/lib/quorate-journal

# The same on every node.
cluster:
  name: ${node.clusterName}
  # The consensus algorithm: raft.
  consensus: raft
  # A file with a secret of at least 32 characters, the same on every node: without it nobody links to
  # them. Make it with: (umask 077; openssl rand -base64 32 > FILE). Further lines are taken from other
  # nodes as well, so that it can be changed node by node. (secret: TEXT has it in here instead.)
${secretLine(node.secretFile)}
  # id: 1 to 254, never reused; peer: where the other nodes reach it; etcd: where its etcd clients
  # do, for their member list.
  members:
${members}

# Where clients connect. certificate and key (PEM files) turn TLS on; advertise, of etcd alone, is what
# clients are told to connect to where it differs from host and port.
listeners:
  zookeeper: { host: 127.0.0.1, port: ${ports.zookeeper} }
  etcd: { host: 127.0.0.1, port: ${ports.etcd} }
  # HTTP: /metrics, /health, /status, and changes of the cluster, which need tokenFile (a token of at
  # least 16 characters a line) where the host is not loopback. hosts: further names by which it is
  # asked. socket: a Unix socket for the owner of this process, who needs no token.
  admin: { host: 127.0.0.1, port: ${ports.admin} }
  # TLS between nodes: each shows a certificate of one of the authorities, for the host of its peer
  # address, or for one name that all have.
  # peers: { certificate: node.pem, key: node-key.pem, authority: ca.pem, name: quorate-peer }

zookeeper:
  # The four-letter words that are answered, of ruok, srvr, stat, mntr and isro; "*" for all. stat tells
  # anyone who the clients are.
  fourLetterWords: ${node.fourLetterWords ?? '[srvr, isro]'}

timings:
  # A leader that was silent this long is replaced; at least 5 heartbeats. One whose process ended
  # is replaced at once.
  electionMillis: 1000
  heartbeatMillis: 100
  # After this an etcd request is answered with "etcdserver: request timed out".
  requestTimeoutMillis: 7000
  # What ZooKeeper clients may ask for.
  sessionTimeoutMinMillis: 4000
  sessionTimeoutMaxMillis: 40000
  # Graceful stop: leadership handed over, clients answered, disk flushed.
  shutdownMillis: 4000
  # How often an etcd watch that asked for progress notices hears how far it is when nothing happens.
  # Kubernetes wants 5000.
  watchProgressMillis: 600000

limits:
  # One request; at most 4194304.
  zookeeperFrameBytesMax: 1048575
  etcdRequestBytesMax: 1572864
  # Bytes that keys, their history, znodes, sessions and leases may hold, as they are held; memory can
  # take a third more. Beyond it what grows the state is refused (etcd: "database space exceeded" and an
  # alarm; ZooKeeper: QUOTAEXCEEDED), until deletes and compaction have made room. At most 6442450944.
  # The leader's value is in force.
  quotaBytes: 2147483648
  connectionsMax: 10000
  # Of them, connections to the ZooKeeper port from one address (maxClientCnxns). 0: no such limit.
  zookeeperConnectionsPerAddressMax: 60
  # Of them, connections to the etcd port from one address (of IPv6: one network of 64 bits). 0: no
  # such limit.
  etcdConnectionsPerAddressMax: 2000
  # Answers to clients in memory, being made or not yet taken, of each of the two ports; etcd's watch
  # events have a quarter of it more, and long answers to its writes another. Beyond it reads wait
  # unmade, and clients that take nothing for 10 s lose their connections (for 120 s: always).
  answerBytesMax: 134217728
  # Writes of this node's clients that are not applied yet, of each of the two ports, at most: where they
  # take longer than about 250 ms, fewer. Beyond it ZooKeeper sockets are not read and etcd requests wait, at
  # most requestTimeoutMillis; sessions, deletions, revocations and compactions have a quarter of room more.
  proposalsInFlightMax: 20000
  proposalBytesInFlightMax: 16777216

# Which actors run on which threads: single (one), split (two: log, and state with clients), spread (one
# a role), default (split; single where the machine has fewer than two cores for each of its nodes), or
# a mapping from thread names to lists of consensus, journal, peers, state, sessions, watches,
# zookeeper, etcd.
placement: default

journal:
  # always: a write is on disk on a majority before it is acknowledged. never: for experiments.
  fsync: always
  segmentBytes: 16777216
  # Log kept behind the newest checkpoint for followers that were away for a while.
  retainedBytes: 16777216

checkpoints:
  # The state is written to disk, beside the running service, after this much log.
  everyBytes: 16777216

# etcd's history, beside what clients compact themselves (Kubernetes does). none; periodic: the leader
# compacts what is older than retentionMillis; revision: all but the last retentionRevisions, every
# five minutes.
compaction:
  mode: ${node.compaction ?? 'none'}
  retentionMillis: 3600000
  retentionRevisions: 10000

tracing:
  # none, console, or otlp (HTTP, to endpoint).
  exporter: none
  endpoint: http://127.0.0.1:4318/v1/traces
  # Part of the requests that start a trace; a request that its client has sampled always is traced.
  ratio: 1

metrics: { enabled: true }

logging:
  # debug, info, warn or error; as text or json.
  level: info
  format: text
`
}
