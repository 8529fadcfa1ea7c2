import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parse as parseYaml, stringify } from 'yaml'
import { ConfigError, parseConfig } from '../../../actors/node/config.ts'
import { checkCertificates } from '../../../actors/node/ports.ts'
import { configTemplate } from '../../../actors/node/config-template.ts'
import type { TlsFiles } from '../../../runtime/host.ts'
import { writeCertificate } from '../../runtime/fixtures/certificate.ts'
import { segmentBytesMin } from '../../../storage/journal.ts'

const text = configTemplate({
  index: 2,
  nodeCount: 3,
  dataDirectory: '/data/two',
  clusterName: 'c',
})

function faultOf(changed: string, environment = {}): string {
  try {
    parseConfig(changed, 'node.yaml', environment)
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
  throw new Error('the configuration was accepted')
}

/** The line of the template that `part` stands on. */
function lineOf(part: string): number {
  return text.slice(0, text.indexOf(part)).split('\n').length
}

describe('a configuration', () => {
  it('stands as an example at the root, as init writes it', () => {
    const example = readFileSync(new URL('../../../quorate.example.yaml', import.meta.url), 'utf8')
    const own = {
      index: 1,
      nodeCount: 3,
      dataDirectory: '/var/lib/quorate',
      clusterName: 'quorate',
      secretFile: '/etc/quorate/secret',
    }
    expect(example).toBe(configTemplate(own))
  })

  it('is read as it is written by init', () => {
    const config = parseConfig(text, 'node.yaml')
    expect(config.node).toBe('node2')
    expect(config.dataDirectory).toBe('/data/two')
    expect(config.listeners.etcd.port).toBe(22379)
    expect(config.cluster.members.map(member => member.peer)).toEqual([
      '127.0.0.1:7101',
      '127.0.0.1:7102',
      '127.0.0.1:7103',
    ])
  })

  it('has defaults for all that may be left out', () => {
    const shortest = [
      'node: a',
      'dataDirectory: /d',
      'cluster: { name: c, members: [{ name: a, id: 1, peer: "h:1" }] }',
      'listeners: { zookeeper: { port: 1 }, etcd: { port: 2 }, admin: { port: 3 } }',
    ].join('\n')
    const config = parseConfig(shortest, 'node.yaml')
    expect(config.timings.electionMillis).toBe(1000)
    expect(config.placement).toBe('default')
    expect(config.journal.fsync).toBe('always')
  })

  it('takes overrides from the environment, words by _ and levels by __', () => {
    const environment = {
      QUORATE_CLUSTER__NAME: 'other',
      QUORATE_TIMINGS__HEARTBEAT_MILLIS: '50',
      QUORATE_CLUSTER__MEMBERS__0__PEER: '10.0.0.1:7000',
      HOME: '/root',
    }
    const config = parseConfig(text, 'node.yaml', environment)
    expect(config.cluster.name).toBe('other')
    expect(config.timings.heartbeatMillis).toBe(50)
    expect(config.cluster.members[0]?.peer).toBe('10.0.0.1:7000')
  })
})

describe('a variable that names no key', () => {
  const warningsOf = (environment: Record<string, string>): string[] => {
    const warnings: string[] = []
    const config = parseConfig(text, 'node.yaml', environment, line => warnings.push(line))
    expect(config).toEqual(parseConfig(text, 'node.yaml'))
    return warnings
  }

  it('is warned of in one line, and the node starts', () => {
    expect(warningsOf({ QUORATE_CLUSTR__NAME: 'x' })).toEqual([
      'environment QUORATE_CLUSTR__NAME: no key is called "clustr", so it is ignored; did you mean "cluster"?',
    ])
    expect(warningsOf({ QUORATE_TIMINGS__HEARTBEAT_MILIS: '[', QUORATE_NODE__X: '1' })).toEqual([
      'environment QUORATE_TIMINGS__HEARTBEAT_MILIS: no key is called "timings.heartbeatMilis", so it is ignored; did you mean "timings.heartbeatMillis"?',
      'environment QUORATE_NODE__X: no key is called "node.x", so it is ignored',
    ])
    expect(warningsOf({ QUORATE_: '1', QUORATE_TAG: 'v1' })).toHaveLength(2)
  })

  it('is left alone where Kubernetes has set it for a service', () => {
    const ofServices = ['QUORATE', 'QUORATE_CLIENT', 'QUORATE_NODE', 'QUORATE_0'].flatMap(name => [
      `${name}_SERVICE_HOST`,
      `${name}_SERVICE_PORT`,
      `${name}_SERVICE_PORT_ETCD_CLIENT`,
      `${name}_PORT`,
      `${name}_PORT_2379_TCP`,
      `${name}_PORT_2379_TCP_PROTO`,
      `${name}_PORT_2379_TCP_PORT`,
      `${name}_PORT_2379_TCP_ADDR`,
      `${name}_PORT_53_UDP`,
    ])
    const environment = Object.fromEntries(ofServices.map(name => [name, 'tcp://10.0.0.1:2379']))
    expect(warningsOf(environment)).toEqual([])
  })

  it('is not one that does', () => {
    const warnings: string[] = []
    const environment = { QUORATE_LISTENERS__ETCD__PORT: '99', QUORATE_PLACEMENT: 'single' }
    const config = parseConfig(text, 'node.yaml', environment, line => warnings.push(line))
    expect([config.listeners.etcd.port, config.placement, warnings]).toEqual([99, 'single', []])
    const threads = { QUORATE_PLACEMENT__LOG: '[consensus]' }
    expect(() => parseConfig(text, 'node.yaml', threads, line => warnings.push(line))).toThrow(
      'environment QUORATE_PLACEMENT__LOG: placement: ',
    )
    expect(warnings).toEqual([])
  })
})

describe('a wrong configuration is one clear line', () => {
  it('for an unknown key, with the nearest valid one', () => {
    const wrong = text.replace('heartbeatMillis: 100', 'heartbeatMilis: 100')
    expect(faultOf(wrong)).toBe(
      `node.yaml:${lineOf('heartbeatMillis: 100')}: unknown key "timings.heartbeatMilis"; did you mean "timings.heartbeatMillis"?`,
    )
  })

  it('for a value out of bounds', () => {
    const wrong = text.replace('port: 2182', 'port: 99999')
    expect(faultOf(wrong)).toBe(
      `node.yaml:${lineOf('port: 2182')}: listeners.zookeeper.port: Too big: expected number to be <=65535`,
    )
  })

  it('for requests longer than can be sent to the other nodes', () => {
    const line = 'etcdRequestBytesMax: 1572864'
    expect(faultOf(text.replace(line, 'etcdRequestBytesMax: 4194305'))).toBe(
      `node.yaml:${lineOf(line)}: limits.etcdRequestBytesMax: Too big: expected number to be <=4194304`,
    )
  })

  it('for a node that is no member', () => {
    const wrong = text.replace('node: node2', 'node: node9')
    expect(faultOf(wrong)).toBe(
      `node.yaml:${lineOf('node: node2')}: node: "node9" is not a member of the cluster (node1, node2, node3)`,
    )
  })

  it('for two members with one id', () => {
    const wrong = text.replace('name: node3, id: 3', 'name: node3, id: 2')
    expect(faultOf(wrong)).toBe(
      `node.yaml:${lineOf('name: node3')}: cluster.members.2.id: another member has the same id`,
    )
  })

  it('for text that is not YAML', () => {
    expect(faultOf('node: a\ncluster: [')).toMatch(/^node\.yaml:2: not valid YAML: /)
  })

  it('for timings that cannot work together', () => {
    const wrong = text.replace('electionMillis: 1000', 'electionMillis: 400')
    expect(faultOf(wrong)).toContain('electionMillis must be at least 5 times heartbeatMillis')
  })

  it('for a port that two listeners want', () => {
    const wrong = text.replace('port: 22379', 'port: 2182')
    expect(faultOf(wrong)).toBe(
      `node.yaml:${lineOf('port: 22379')}: listeners.etcd.port: port 2182 is that of zookeeper too`,
    )
  })

  it('for a port that the other nodes want, on whatever address', () => {
    const wrong = text.replace(
      'admin: { host: 127.0.0.1, port: 7202',
      'admin: { host: 0.0.0.0, port: 7102',
    )
    expect(faultOf(wrong)).toContain('listeners.admin.port: port 7102 is that of peers too')
    const apart = text.replace(
      'admin: { host: 127.0.0.1, port: 7202',
      'admin: { host: 127.0.0.2, port: 7102',
    )
    expect(parseConfig(apart, 'node.yaml').listeners.admin.port).toBe(7102)
  })

  it('for a certificate without its key', () => {
    const wrong = text.replace('port: 2182', 'port: 2182, certificate: a.pem')
    expect(faultOf(wrong)).toContain('certificate and key go together')
  })

  it('for a certificate that cannot be read', () => {
    const both = 'port: 2182, certificate: /none/a.pem, key: /none/a.key'
    const config = parseConfig(text.replace('port: 2182', both), 'node.yaml')
    expect(() => checkCertificates(config)).toThrow(
      "listeners.zookeeper.certificate: /none/a.pem cannot be read: ENOENT: no such file or directory, open '/none/a.pem'",
    )
  })

  it('for a certificate that is none, and for the key of another one', () => {
    const directories = [0, 1].map(() => mkdtempSync(join(tmpdir(), 'quorate-config-')))
    const [own, other] = directories.map(directory => writeCertificate(directory)) as [
      TlsFiles,
      TlsFiles,
    ]
    const check = ({ certificate, key }: TlsFiles) => {
      const both = `port: 2182, certificate: ${certificate}, key: ${key}`
      checkCertificates(parseConfig(text.replace('port: 2182', both), 'node.yaml'))
    }
    check(own)
    expect(() => check({ certificate: own.key, key: own.key })).toThrow(
      `listeners.zookeeper.certificate: ${own.key} holds none in PEM format: `,
    )
    expect(() => check({ certificate: own.certificate, key: own.certificate })).toThrow(
      `listeners.zookeeper.key: ${own.certificate} holds none in PEM format: `,
    )
    expect(() => check({ certificate: own.certificate, key: other.key })).toThrow(
      `listeners.zookeeper.key: ${other.key} is not the key of ${own.certificate}`,
    )
    for (const directory of directories) rmSync(directory, { recursive: true })
  })

  it('for a secret that is too short, or given twice', () => {
    const given = (lines: string) =>
      text.replace('  consensus: raft', `  consensus: raft\n${lines}`)
    expect(faultOf(given('  secret: hunter2'))).toMatch(/cluster\.secret: .*>=32 characters/)
    const both = `  secret: ${'s'.repeat(32)}\n  secretFile: /etc/quorate/secret`
    expect(faultOf(given(both))).toContain('secret and secretFile exclude each other')
  })

  it('for what the admin port and the port of the peers may not be given', () => {
    const admin = (keys: string) => text.replace('port: 7202', `port: 7202, ${keys}`)
    expect(faultOf(admin('token: short'))).toMatch(/listeners\.admin\.token: .*>=16 characters/)
    const both = `token: ${'t'.repeat(16)}, tokenFile: /t`
    expect(faultOf(admin(both))).toContain('token and tokenFile exclude each other')
    expect(faultOf(admin(`socket: /${'s'.repeat(107)}`))).toContain(
      'listeners.admin.socket: must be a path of at most 107 bytes',
    )
    expect(faultOf(admin('hosts: a.example'))).toContain('listeners.admin.hosts')
    const peers = text.replace('listeners:', 'listeners:\n  peers: { certificate: a, key: b }')
    expect(faultOf(peers)).toContain('listeners.peers.authority: is missing')
  })

  it('for an authority of peers that is none', () => {
    const own = mkdtempSync(join(tmpdir(), 'quorate-config-'))
    const { certificate, key } = writeCertificate(own)
    const files = `{ certificate: ${certificate}, key: ${key}, authority: ${key} }`
    const config = parseConfig(
      text.replace('listeners:', `listeners:\n  peers: ${files}`),
      'node.yaml',
    )
    expect(() => checkCertificates(config)).toThrow(
      `listeners.peers.authority: ${key} holds none in PEM format: `,
    )
    rmSync(own, { recursive: true })
  })

  it('for a placement that forgets an actor', () => {
    const wrong = text.replace('placement: default', 'placement: { all: [consensus, journal] }')
    expect(faultOf(wrong)).toContain('exactly once')
  })

  it.each([
    ['for an alias without its anchor', 'node: *none', /^node\.yaml: not valid YAML: .*none/],
    ['for a key without a value', 'node:', /^node\.yaml:1: node: has no value$/m],
    ['for a key that is missing', 'node: a', /^node\.yaml:1: dataDirectory: is missing$/m],
    ['for a list in the place of all keys', '- node', /^node\.yaml:1: must be a mapping/],
    ['for an empty file', '', /^node\.yaml:1: node: is missing$/m],
  ])('%s', (_, wrong, fault) => {
    expect(faultOf(wrong)).toMatch(fault)
  })

  it('for a variable of the environment that is not YAML', () => {
    for (const [at, key] of [
      ['X', 'x'],
      ['9', '9'],
    ]) {
      expect(faultOf(text, { [`QUORATE_CLUSTER__MEMBERS__${at}__PEER`]: 'a:1' })).toMatch(
        new RegExp(
          `^environment QUORATE_CLUSTER__MEMBERS__${at}__PEER: cluster.members is a list of \\d; "${key}" is no place in it$`,
        ),
      )
    }
    expect(faultOf(text, { QUORATE_NODE: '[' })).toMatch(
      /^environment QUORATE_NODE: not valid YAML/,
    )
  })

  it('for a thread that has the name of the first one', () => {
    const all = 'consensus, journal, peers, state, sessions, watches, zookeeper, etcd'
    const wrong = text.replace('placement: default', `placement: { main: [${all}] }`)
    expect(faultOf(wrong)).toContain('a thread cannot be called "main"')
  })
})

describe('a key with an absurd value', () => {
  const base = parseYaml(text) as Values
  const numbers = leavesOf(base).filter(path => typeof at(base, path) === 'number')

  it('is refused, or has bounds that are known to work', () => {
    expect(numbers.length).toBeGreaterThan(15)
    for (const path of numbers) {
      for (const value of [-1, 1.5, 1e12, 'text', '', null, [], {}, true]) {
        const key = path.join('.')
        expect(faultOf(withValue(path, value)), `${key} = ${value}`).toMatch(
          new RegExp(`^node\\.yaml:\\d+: ${key.replaceAll('.', '\\.')}: `),
        )
      }
    }
  })

  it('has the bounds of what it is given to', () => {
    const segmentFault = (bytes: number) => faultOf(withValue(['journal', 'segmentBytes'], bytes))
    expect(segmentFault(segmentBytesMin - 1)).toContain(
      `expected number to be >=${segmentBytesMin}`,
    )
    parseConfig(withValue(['journal', 'segmentBytes'], segmentBytesMin), 'node.yaml')
    const address = (peer: string) => faultOf(withValue(['cluster', 'members', 0, 'peer'], peer))
    expect(address('host:0')).toContain('its port must be from 1 to 65535')
    expect(address('host:70000')).toContain('its port must be from 1 to 65535')
    expect(address('host')).toMatch(/must be "host:port"$/)
  })

  function withValue(path: readonly (string | number)[], value: unknown): string {
    const changed = structuredClone(base)
    const parent = at(changed, path.slice(0, -1)) as Values
    parent[path.at(-1) ?? ''] = value
    return stringify(changed)
  }
})

type Values = Record<string | number, unknown>

function leavesOf(value: unknown, path: readonly (string | number)[] = []): (string | number)[][] {
  if (typeof value !== 'object' || value === null) return [[...path]]
  const isList = Array.isArray(value)
  return Object.entries(value).flatMap(([key, part]) =>
    leavesOf(part, [...path, isList ? Number(key) : key]),
  )
}

function at(value: unknown, path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>((place, key) => (place as Values)[key], value)
}
