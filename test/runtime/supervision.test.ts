import { expect, test } from 'vitest'
import type { Definition, Message, Ref, Supervision } from '../../runtime/actor.ts'
import { silentLogger } from '../../runtime/log.ts'
import { System } from '../../runtime/system.ts'
import { type ManualHost, manualHost } from '../../runtime/testkit.ts'

interface Order extends Message {
  readonly kind: 'fail' | 'stop'
}

/** A supervisor `parent` with children a, b, c; each start and stop is an event. */
function family(supervision: Supervision): {
  host: ManualHost
  events: string[]
  child: (name: string) => Ref<Order>
  failures: string[]
  system: System
} {
  const host = manualHost()
  const events: string[] = []
  const failures: string[] = []
  const system = new System({
    host,
    log: silentLogger,
    onFailure: (error, actor) => void failures.push(`${actor}: ${error.message}`),
  })
  const child: Definition<Order, void> = {
    name: 'child',
    start: context => {
      const name = context.self.address.actor.slice(-1)
      events.push(`+${name}`)
      context.onStop(() => void events.push(`-${name}`))
      return message => {
        if (message.kind === 'fail') throw new Error(`${name} broke`)
        context.stop()
      }
    },
  }
  const parent: Definition<Order, void> = {
    name: 'parent',
    start: context => {
      for (const name of ['a', 'b', 'c']) context.spawn(child, name, undefined, supervision)
      return () => {}
    },
  }
  system.spawn(parent, 'parent', undefined)
  host.runDeferred()
  return {
    host,
    events,
    failures,
    system,
    child: name => system.local(`parent/${name}`) as Ref<Order>,
  }
}

const restart = (
  strategy: 'oneForOne' | 'restForOne' | 'oneForAll',
  intensity = 1,
): Supervision => ({
  kind: 'restart',
  strategy,
  intensity,
  periodMillis: 5_000,
  backoffMillis: 0,
})

test.each([
  ['oneForOne', ['-b', '+b']],
  ['restForOne', ['-c', '-b', '+b', '+c']],
  ['oneForAll', ['-c', '-b', '-a', '+a', '+b', '+c']],
] as const)('%s restarts in order', (strategy, expected) => {
  const { host, events, child } = family(restart(strategy))
  events.length = 0
  child('b').tell({ kind: 'fail' })
  host.runDeferred()
  expect(events).toEqual(expected)
})

test('more failures than the intensity within the period escalate', () => {
  const { host, events, child, failures } = family(restart('oneForOne', 2))
  for (let count = 0; count < 2; count++) {
    child('b').tell({ kind: 'fail' })
    host.runDeferred()
  }
  expect(failures).toEqual([])
  events.length = 0
  child('b').tell({ kind: 'fail' })
  host.runDeferred()
  expect(failures).toEqual(['parent: b broke'])
  expect(events).toEqual(['-b', '-c', '-a'])
})

test('failures further apart than the period never escalate', () => {
  const { host, child, failures } = family(restart('oneForOne', 1))
  for (let count = 0; count < 20; count++) {
    child('b').tell({ kind: 'fail' })
    host.advance(5_001)
  }
  expect(failures).toEqual([])
})

test('siblings share the count, as children of one supervisor', () => {
  const { host, child, failures } = family(restart('oneForOne', 1))
  child('a').tell({ kind: 'fail' })
  child('c').tell({ kind: 'fail' })
  host.runDeferred()
  expect(failures).toEqual(['parent: c broke'])
})

test('a restart waits longer each time, and what is told meanwhile is lost', () => {
  const { host, events, child, system } = family({
    kind: 'restart',
    strategy: 'oneForOne',
    intensity: 5,
    periodMillis: 60_000,
    backoffMillis: 100,
  })
  events.length = 0
  child('b').tell({ kind: 'fail' })
  host.advance(99)
  child('b').tell({ kind: 'stop' })
  expect(events).toEqual(['-b'])
  expect(system.deadLetters).toBe(1)
  host.advance(1)
  expect(events).toEqual(['-b', '+b'])
  child('b').tell({ kind: 'fail' })
  host.advance(199)
  expect(events).toEqual(['-b', '+b', '-b'])
  host.advance(1)
  expect(events).toEqual(['-b', '+b', '-b', '+b'])
})

test('a start that fails again and again escalates instead of looping', () => {
  const host = manualHost()
  const failures: string[] = []
  let starts = 0
  const system = new System({
    host,
    log: silentLogger,
    onFailure: (_error, actor) => void failures.push(actor),
  })
  const broken: Definition<Order, void> = {
    name: 'broken',
    start: () => {
      starts++
      throw new Error('no port')
    },
  }
  system.spawn(broken, 'broken', undefined, restart('oneForOne', 3))
  host.runDeferred()
  expect(starts).toBe(4)
  expect(failures).toEqual(['broken'])
})

test('a stop takes the children along, in reverse order, and nobody comes back', () => {
  const { host, events, system, child } = family(restart('oneForOne'))
  events.length = 0
  system.stop()
  host.advance(100_000)
  expect(events).toEqual(['-c', '-b', '-a'])
  child('a').tell({ kind: 'fail' })
  host.runDeferred()
  expect(system.deadLetters).toBe(1)
})

test('a failure at the end of a round counts like one in a handler', () => {
  const host = manualHost()
  let starts = 0
  const system = new System({ host, log: silentLogger })
  const definition: Definition<Order, void> = {
    name: 'flusher',
    start: context => {
      starts++
      context.onRoundEnd(() => {
        throw new Error('flush failed')
      })
      return () => {}
    },
  }
  system.spawn(definition, 'flusher', undefined, restart('oneForOne')).tell({ kind: 'stop' })
  host.runDeferred()
  expect(starts).toBe(2)
})
