/**
 * The words in letters that share the port (facts 1.16): what each answers, as ZooKeeper 3.9 does.
 * Tools match these texts by pattern, so every space and newline counts.
 */
export interface ServerReport {
  /** Like `3.9.5-quorate-0.1.0, built on 2026-11-23 12:00 UTC`: three numbers, a dash, the rest. */
  readonly version: string
  readonly mode: 'standalone' | 'leader' | 'follower' | 'observer'
  readonly readOnly: boolean
  readonly latencyMillisMin: number
  readonly latencyMillisAverage: number
  readonly latencyMillisMax: number
  readonly packetsReceived: number
  readonly packetsSent: number
  readonly outstandingRequests: number
  readonly uptimeMillis: number
  /** Since this node leads. */
  readonly leaderUptimeMillis: number
  readonly connections: readonly ConnectionReport[]
  readonly state: StateReport
}

/** What the state machine knows, and other actors of the node. */
export interface StateReport {
  readonly zxid: number
  readonly nodeCount: number
  readonly watchCount: number
  readonly ephemeralCount: number
  readonly sessionCount: number
  readonly dataBytes: number
  readonly quorum: QuorumReport
  /** Undefined where the system does not tell. */
  readonly openFiles: number | undefined
  readonly openFilesMax: number | undefined
}

/** Of the others only a leader knows. */
export interface QuorumReport {
  readonly voters: number
  /** Others that follow it now, those that do not vote included. */
  readonly learners: number
  readonly syncedFollowers: number
  readonly syncedNonVoters: number
}

export interface ConnectionReport {
  readonly address: string
  readonly port: number
  readonly outstandingRequests: number
  readonly packetsReceived: number
  readonly packetsSent: number
}

/** Those that can be answered. */
export const fourLetterWords = ['ruok', 'isro', 'srvr', 'stat', 'mntr'] as const

export function notInWhitelist(word: string): string {
  return `${refusedWords.get(word) ?? word} is not executed because it is not in the whitelist.\n`
}

/** `undefined` where this node cannot serve requests at the moment. */
export function answerWord(word: string, report: ServerReport | undefined): string {
  switch (word) {
    case 'ruok':
      return 'imok'
    case 'isro':
      return report === undefined ? 'null' : report.readOnly ? 'ro' : 'rw'
    case 'srvr':
      return report === undefined ? notServing : versionLine(report) + summary(report)
    case 'stat':
      return report === undefined
        ? notServing
        : versionLine(report) + clients(report) + summary(report)
    case 'mntr':
      return report === undefined ? notServing : monitor(report)
    default:
      return notInWhitelist(word)
  }
}

/** Whatever else the first four bytes spell is taken for a length, and that one is out of range. */
export function isKnownWord(word: string): boolean {
  return answeredWords.has(word) || refusedWords.has(word)
}

const answeredWords: ReadonlySet<string> = new Set(fourLetterWords)

const refusedWords = new Map([
  ...[
    'conf',
    'cons',
    'crst',
    'dirs',
    'dump',
    'envi',
    'gtmk',
    'hash',
    'stmk',
    'srst',
    'wchc',
    'wchp',
    'wchs',
  ].map((word): [string, string] => [word, word]),
  ['\xff\xf4\xff\xfd', 'telnet close'],
])

const notServing = 'This ZooKeeper instance is not currently serving requests\n'

function versionLine(report: ServerReport): string {
  return `Zookeeper version: ${report.version}\n`
}

function clients(report: ServerReport): string {
  let text = 'Clients:\n'
  for (const one of report.connections) {
    text += ` /${one.address}:${one.port}[${one.outstandingRequests}]`
    text += `(queued=0,recved=${one.packetsReceived},sent=${one.packetsSent})\n`
  }
  return `${text}\n`
}

function summary(report: ServerReport): string {
  const { latencyMillisMin, latencyMillisAverage, latencyMillisMax } = report
  const average = decimal(latencyMillisAverage)
  return (
    `Latency min/avg/max: ${latencyMillisMin}/${average}/${latencyMillisMax}\n` +
    `Received: ${report.packetsReceived}\n` +
    `Sent: ${report.packetsSent}\n` +
    `Connections: ${report.connections.length}\n` +
    `Outstanding: ${report.outstandingRequests}\n` +
    `Zxid: 0x${report.state.zxid.toString(16)}\n` +
    `Mode: ${report.mode}\n` +
    `Node count: ${report.state.nodeCount}\n` +
    (report.mode === 'leader' ? 'Proposal sizes last/min/max: -1/-1/-1\n' : '')
  )
}

function monitor(report: ServerReport): string {
  const { state } = report
  const lines: Line[] = [
    ['version', report.version],
    ['server_state', report.mode],
    ['ephemerals_count', state.ephemeralCount],
    ['num_alive_connections', report.connections.length],
    ['avg_latency', decimal(report.latencyMillisAverage)],
    ['outstanding_requests', report.outstandingRequests],
    ['znode_count', state.nodeCount],
    ['global_sessions', state.sessionCount],
    ['packets_sent', report.packetsSent],
    ['packets_received', report.packetsReceived],
    ['watch_count', state.watchCount],
    ['min_latency', report.latencyMillisMin],
    ['approximate_data_size', state.dataBytes],
    ['local_sessions', 0],
    ['uptime', Math.floor(report.uptimeMillis)],
    ['max_latency', report.latencyMillisMax],
    ...(report.mode === 'standalone' ? [] : quorumLines(report)),
    ...openFileLines(state),
  ]
  return `${lines.map(([key, value]) => `zk_${key}\t${value}\n`).join('')}\n`
}

type Line = [string, string | number]

function quorumLines({ mode, state, leaderUptimeMillis }: ServerReport): Line[] {
  const { voters, learners, syncedFollowers, syncedNonVoters } = state.quorum
  const doing = mode === 'leader' ? 'leading' : 'following'
  const lines: Line[] = [
    ['peer_state', `${doing} - broadcast`],
    ['quorum_size', voters],
  ]
  if (mode !== 'leader') return lines
  lines.push(
    ['learners', learners],
    ['synced_followers', syncedFollowers],
    ['synced_non_voting_followers', syncedNonVoters],
    ['synced_observers', 0],
    ['pending_syncs', 0],
    ['leader_uptime', Math.floor(leaderUptimeMillis)],
    // Proposals have no size of their own here; -1 is ZooKeeper's word for none yet.
    ['last_proposal_size', -1],
    ['min_proposal_size', -1],
    ['max_proposal_size', -1],
  )
  return lines
}

function openFileLines({ openFiles, openFilesMax }: StateReport): Line[] {
  const lines: Line[] = []
  if (openFiles !== undefined) lines.push(['open_file_descriptor_count', openFiles])
  if (openFilesMax !== undefined) lines.push(['max_file_descriptor_count', openFilesMax])
  return lines
}

/** At least one decimal, at most four, as Java prints a rounded double. */
function decimal(value: number): string {
  const rounded = Math.round(value * 10_000) / 10_000
  return Number.isInteger(rounded) ? `${rounded}.0` : String(rounded)
}
