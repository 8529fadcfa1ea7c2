import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { directory } from '../../actors/directory.ts'
import { collectorProtocol } from '../../actors/metrics-collector.ts'
import type { Protocol } from '../../runtime/protocol.ts'
import { linkProtocol } from '../../runtime/thread-peer.ts'

/** `protocol.kind` and what actors/README.md says of it. */
function judged(): string[] {
  const readme = readFileSync(new URL('../../actors/README.md', import.meta.url), 'utf8')
  const rows = readme
    .split('\n')
    .map(line => line.split('|').map(cell => cell.trim()))
    .filter(cells => cells[3] === 'kept' || cells[3] === 'lost')
  return rows.flatMap(([, protocols = '', kinds = '', judgement = '', what = '']) => {
    if (what === '') throw new Error(`${kinds}: it is not said what happens`)
    return protocols
      .split(', ')
      .flatMap(protocol =>
        [...kinds.matchAll(/`(\w+)`/g)].map(([, kind]) => `${protocol}.${kind} ${judgement}`),
      )
  })
}

test('of every message that crosses threads or nodes it is judged whether it may be lost', () => {
  const protocols: readonly Protocol<never>[] = [
    ...Object.values(directory).map(({ protocol }) => protocol as unknown as Protocol<never>),
    linkProtocol as unknown as Protocol<never>,
    collectorProtocol as unknown as Protocol<never>,
  ]
  const kinds = protocols.flatMap(protocol =>
    protocol.kinds.map(({ name, reserved }) => `${name} ${reserved ? 'kept' : 'lost'}`),
  )
  expect(judged().toSorted()).toEqual(kinds.toSorted())
})
