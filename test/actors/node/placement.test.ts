import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../../actors/node/config.ts'
import { configTemplate } from '../../../actors/node/config-template.ts'
import { placementOf } from '../../../actors/node/placement.ts'

const text = configTemplate({ index: 1, nodeCount: 3, dataDirectory: '/d', clusterName: 'c' })

function threadsOf(config: string, cores: number): string[] {
  return Object.keys(placementOf(parseConfig(config, 'node.yaml', {}), cores))
}

describe('the default placement', () => {
  it('is one thread where the nodes of the machine have fewer than two cores each', () => {
    expect(threadsOf(text, 2)).toEqual(['main', 'all'])
    expect(threadsOf(text, 5)).toEqual(['main', 'all'])
    expect(threadsOf(text, 6)).toEqual(['main', 'log', 'state'])
  })

  it('counts only members with the host of this one', () => {
    const apart = text.replace('127.0.0.1:7102', 'b:7102').replace('127.0.0.1:7103', 'c:7103')
    expect(threadsOf(apart, 2)).toEqual(['main', 'log', 'state'])
    expect(threadsOf(apart, 1)).toEqual(['main', 'all'])
  })

  it('knows the names of the loopback', () => {
    const names = text
      .replace('127.0.0.1:7102', 'localhost:7102')
      .replace('127.0.0.1:7103', '[::1]:7103')
    expect(threadsOf(names, 5)).toEqual(['main', 'all'])
  })
})

it('a placement with a name, or of its own, is taken as it is', () => {
  const withPlacement = (placement: string): string =>
    text.replace('placement: default', `placement: ${placement}`)
  expect(threadsOf(withPlacement('split'), 1)).toEqual(['main', 'log', 'state'])
  expect(threadsOf(withPlacement('single'), 64)).toEqual(['main', 'all'])
  const own = '{ a: [consensus, journal, peers, state], b: [sessions, watches, zookeeper, etcd] }'
  expect(threadsOf(withPlacement(own), 1)).toEqual(['main', 'a', 'b'])
})
