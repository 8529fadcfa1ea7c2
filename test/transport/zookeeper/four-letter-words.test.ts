import { describe, expect, test } from 'vitest'
import { answerWord, type ServerReport } from '../../../transport/zookeeper/four-letter-words.ts'

const report: ServerReport = {
  version: '3.9.5-quorate-0.1.0, built on 2026-11-23 12:00 UTC',
  mode: 'follower',
  readOnly: false,
  latencyMillisMin: 0,
  latencyMillisAverage: 1.23456,
  latencyMillisMax: 7,
  packetsReceived: 4,
  packetsSent: 3,
  outstandingRequests: 0,
  uptimeMillis: 3847.5,
  leaderUptimeMillis: 1200.5,
  connections: [
    {
      address: '127.0.0.1',
      port: 38894,
      outstandingRequests: 0,
      packetsReceived: 1,
      packetsSent: 0,
    },
  ],
  state: {
    zxid: 0x1f,
    nodeCount: 5,
    watchCount: 0,
    ephemeralCount: 0,
    sessionCount: 1,
    dataBytes: 44,
    quorum: { voters: 3, learners: 3, syncedFollowers: 1, syncedNonVoters: 1 },
    openFiles: 40,
    openFilesMax: 1024,
  },
}

describe('four-letter words', () => {
  test('ruok and isro answer without a newline', () => {
    expect(answerWord('ruok', undefined)).toBe('imok')
    expect(answerWord('isro', report)).toBe('rw')
    expect(answerWord('isro', { ...report, readOnly: true })).toBe('ro')
    expect(answerWord('isro', undefined)).toBe('null')
  })

  test('srvr', () => {
    expect(answerWord('srvr', report)).toBe(
      'Zookeeper version: 3.9.5-quorate-0.1.0, built on 2026-11-23 12:00 UTC\n' +
        'Latency min/avg/max: 0/1.2346/7\nReceived: 4\nSent: 3\nConnections: 1\nOutstanding: 0\n' +
        'Zxid: 0x1f\nMode: follower\nNode count: 5\n',
    )
  })

  test('stat lists the clients between the version and the rest', () => {
    const text = answerWord('stat', report)
    expect(text).toContain(
      'UTC\nClients:\n /127.0.0.1:38894[0](queued=0,recved=1,sent=0)\n\nLatency',
    )
    expect(text.endsWith('Node count: 5\n')).toBe(true)
  })

  test('a leader adds its proposal sizes', () => {
    expect(answerWord('srvr', { ...report, mode: 'leader' })).toMatch(
      /Mode: leader\nNode count: 5\nProposal sizes last\/min\/max: -1\/-1\/-1\n$/,
    )
  })

  test('mntr is one key and value a line, version and state first', () => {
    const lines = answerWord('mntr', report).split('\n')
    expect(lines[0]).toBe(`zk_version\t${report.version}`)
    expect(lines[1]).toBe('zk_server_state\tfollower')
    expect(lines).toContain('zk_znode_count\t5')
    expect(lines).toContain('zk_uptime\t3847')
    expect(lines).toContain('zk_avg_latency\t1.2346')
    expect(lines).toContain('zk_peer_state\tfollowing - broadcast')
    expect(lines).toContain('zk_quorum_size\t3')
    expect(lines).toContain('zk_open_file_descriptor_count\t40')
    expect(lines).toContain('zk_max_file_descriptor_count\t1024')
    expect(lines.join()).not.toMatch(/synced|leader/)
  })

  test('mntr of a leader tells about those that follow it; alone there are none', () => {
    const lines = answerWord('mntr', { ...report, mode: 'leader' }).split('\n')
    expect(lines).toContain('zk_peer_state\tleading - broadcast')
    expect(lines).toContain('zk_learners\t3')
    expect(lines).toContain('zk_synced_followers\t1')
    expect(lines).toContain('zk_synced_non_voting_followers\t1')
    expect(lines).toContain('zk_leader_uptime\t1200')
    expect(answerWord('mntr', { ...report, mode: 'standalone' })).not.toMatch(/peer|quorum|synced/)
  })

  test('words that are not on the whitelist say so', () => {
    expect(answerWord('envi', report)).toBe(
      'envi is not executed because it is not in the whitelist.\n',
    )
    expect(answerWord('\xff\xf4\xff\xfd', report)).toBe(
      'telnet close is not executed because it is not in the whitelist.\n',
    )
  })

  test('a node that does not serve says so', () => {
    expect(answerWord('srvr', undefined)).toBe(
      'This ZooKeeper instance is not currently serving requests\n',
    )
  })
})
