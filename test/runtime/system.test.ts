import { describe, expect, test } from 'vitest'
import type { Definition, Message, Ref } from '../../runtime/actor.ts'
import { createLogger } from '../../runtime/log.ts'
import { defineProtocol } from '../../runtime/protocol.ts'
import { System, type SystemOptions } from '../../runtime/system.ts'
import { type ManualHost, manualHost } from '../../runtime/testkit.ts'

interface Note extends Message {
  readonly kind: 'note'
  readonly text: string
}

const note = (text: string): Note => ({ kind: 'note', text })

function recorder(seen: string[], name = 'recorder'): Definition<Note, void> {
  return { name, start: () => message => void seen.push(message.text) }
}

function world(options: Partial<SystemOptions> = {}): {
  host: ManualHost
  system: System
  lines: string[]
  failures: string[]
} {
  const host = manualHost()
  const lines: string[] = []
  const failures: string[] = []
  const log = createLogger({
    level: 'debug',
    format: 'json',
    wallMillis: host.clock.wallMillis,
    write: line => void lines.push(line),
  })
  const system = new System({
    host,
    log,
    onFailure: (error, actor) => void failures.push(`${actor}: ${error.message}`),
    ...options,
  })
  return { host, system, lines, failures }
}

describe('messages', () => {
  test('arrive in order, after the caller has returned', () => {
    const { host, system } = world()
    const seen: string[] = []
    const ref = system.spawn(recorder(seen), 'recorder', undefined)
    for (let index = 0; index < 2000; index++) ref.tell(note(String(index)))
    expect(seen).toEqual([])
    host.runDeferred()
    expect(seen).toEqual(Array.from({ length: 2000 }, (_, index) => String(index)))
  })

  test('to an actor placed here wait for its start; to an unknown one they are dead letters', () => {
    const { host, system, lines } = world({ thread: 'log', placement: { log: ['later'] } })
    const seen: string[] = []
    system.find<Note>({ name: 'later' }).tell(note('early'))
    system.find<Note>({ name: 'nobody' }).tell(note('lost'))
    system.spawn(recorder(seen), 'later', undefined)
    host.runDeferred()
    expect(seen).toEqual(['early'])
    expect(system.deadLetters).toBe(1)
    expect(lines.filter(line => line.includes('Messages have been lost'))).toHaveLength(1)
  })

  test('beyond the bound are counted, and logged once a second', () => {
    const { host, system, lines } = world()
    const seen: string[] = []
    const ref = system.spawn({ ...recorder(seen), mailboxMessagesMax: 3 }, 'small', undefined)
    for (let index = 0; index < 10; index++) ref.tell(note(String(index)))
    host.advance(1_001)
    for (let index = 0; index < 5; index++) ref.tell(note('again'))
    host.runDeferred()
    expect(seen).toEqual(['0', '1', '2', 'again', 'again', 'again'])
    expect(system.deadLetters).toBe(9)
    const logged = lines.map(line => JSON.parse(line)).filter(line => line.reason === 'full')
    expect(logged.map(line => line.lost)).toEqual([1, 7])
  })

  test('that may not be lost find room where others do not: reserved kinds, its own, and ticks', () => {
    type Mail = Note | { readonly kind: 'done' } | { readonly kind: 'beat' }
    const { host, system } = world()
    const seen: string[] = []
    let finish: () => void = () => {}
    const definition: Definition<Mail, void> = {
      name: 'busy',
      mailboxMessagesMax: 3,
      protocol: defineProtocol<Mail>(
        'busy',
        { note: { text: 'string' }, done: {}, beat: {} },
        { reserved: ['done'] },
      ),
      start: context => {
        finish = () => context.self.tell({ kind: 'note', text: 'own' })
        context.every(10, { kind: 'beat' })
        return message => void seen.push(message.kind === 'note' ? message.text : message.kind)
      },
    }
    // The thread stands still while mail and time go by.
    const stuck: (() => void)[] = []
    const { defer } = host
    host.defer = callback => void stuck.push(callback)
    const ref = system.spawn(definition, 'busy', undefined)
    for (let index = 0; index < 5; index++) ref.tell(note(String(index)))
    ref.tell({ kind: 'done' })
    finish()
    host.advance(10)
    host.defer = defer
    for (const turn of stuck) turn()
    expect(seen).toEqual(['0', '1', '2', 'done', 'own', 'beat'])
    host.advance(20)
    expect(seen.slice(6)).toEqual(['beat', 'beat'])
  })

  test('are frozen in tests, bytes excepted', () => {
    const { host, system } = world({ freezeMessages: true })
    const failed: unknown[] = []
    interface Deep extends Message {
      readonly kind: 'deep'
      readonly list: { value: number }[]
      readonly bytes: Uint8Array
    }
    const definition: Definition<Deep, void> = {
      name: 'writer',
      start: () => message => {
        message.bytes[0] = 7
        try {
          message.list[0]!.value = 2
        } catch (error) {
          failed.push(error)
        }
      },
    }
    const message: Deep = { kind: 'deep', list: [{ value: 1 }], bytes: new Uint8Array(1) }
    system.spawn(definition, 'writer', undefined).tell(message)
    host.runDeferred()
    expect(failed).toHaveLength(1)
    expect(message.bytes[0]).toBe(7)
  })
})

describe('a turn', () => {
  test('drains all mail, then ends the round in the order in which the actors became dirty', () => {
    const { host, system } = world()
    const events: string[] = []
    const definition = (name: string): Definition<Note, Ref<Note> | undefined> => ({
      name,
      start: (context, next) => {
        context.onRoundEnd(() => void events.push(`${name} ends`))
        return message => {
          events.push(`${name} ${message.text}`)
          if (message.text === 'pass') next?.tell(note('passed'))
        }
      },
    })
    const disk = system.spawn(definition('disk'), 'disk', undefined)
    const net = system.spawn(definition('net'), 'net', disk)
    net.tell(note('pass'))
    net.tell(note('more'))
    system.dispatcher.onTurnEnd(() => void events.push('flush'))
    expect(host.runDeferred()).toBe(1)
    expect(events).toEqual([
      'net pass',
      'net more',
      'disk passed',
      'net ends',
      'disk ends',
      'flush',
    ])
  })

  test('has another round when the end of one makes mail', () => {
    const { host, system } = world()
    const events: string[] = []
    const definition: Definition<Note, void> = {
      name: 'looper',
      start: context => {
        let left = 2
        context.onRoundEnd(() => {
          events.push('end')
          if (left-- > 0) context.self.tell(note('again'))
        })
        return message => void events.push(message.text)
      },
    }
    system.spawn(definition, 'looper', undefined).tell(note('first'))
    expect(host.runDeferred()).toBe(1)
    expect(events).toEqual(['first', 'end', 'again', 'end', 'again', 'end'])
  })

  test('runs an actor once for all its mail, however often it told itself', () => {
    const { host, system } = world()
    let handled = 0
    const definition: Definition<Note, void> = {
      name: 'echo',
      start: context => message => {
        handled++
        if (message.text === 'twice') {
          context.self.tell(note('once'))
          context.self.tell(note('once'))
        }
      },
    }
    const ref = system.spawn(definition, 'echo', undefined)
    for (let index = 0; index < 100; index++) ref.tell(note('twice'))
    host.runDeferred()
    expect(handled).toBe(300)
    expect(system.dispatcher.runs).toBe(2)
  })

  test('is followed by another when its end took something in', () => {
    const { host, system } = world()
    const seen: string[] = []
    let slabs = 3
    system.dispatcher.onTurnEnd(() => {
      seen.push('flush')
      // As a link does that finds a slab of nothing but credit.
      if (slabs-- > 0) system.dispatcher.wake()
    })
    system.spawn(recorder(seen), 'recorder', undefined).tell(note('mail'))
    expect(host.runDeferred()).toBe(4)
    expect(seen).toEqual(['mail', 'flush', 'flush', 'flush', 'flush'])
  })

  test('is bounded: an endless conversation lets the event loop go on', () => {
    const { host, system } = world()
    let handled = 0
    const definition: Definition<Note, void> = {
      name: 'endless',
      start: context => message => {
        handled++
        if (handled < 50_000) context.self.tell(message)
      },
    }
    system.spawn(definition, 'endless', undefined).tell(note('go'))
    expect(host.runDeferred()).toBeGreaterThan(5)
    expect(handled).toBe(50_000)
  })
})

describe('timers', () => {
  test('fire once, or in a rhythm that skips what was missed', () => {
    const { host, system } = world()
    const seen: string[] = []
    const definition: Definition<Note, void> = {
      name: 'timed',
      start: context => {
        context.after(5, note('once'))
        context.every(10, note('tick'))
        return message => void seen.push(`${message.text} ${host.clock.monotonicMillis()}`)
      },
    }
    system.spawn(definition, 'timed', undefined)
    host.advance(30)
    expect(seen).toEqual(['once 5', 'tick 10', 'tick 20', 'tick 30'])
  })

  test('a tick that still waits is not added again', () => {
    let deferred: (() => void)[] = []
    const host = manualHost()
    const stuck = {
      ...host,
      clock: host.clock,
      timers: host.timers,
      random: host.random,
      defer: (callback: () => void) => void deferred.push(callback),
    }
    const { system } = world({ host: stuck as never })
    let ticks = 0
    const definition: Definition<Note, void> = {
      name: 'busy',
      start: context => {
        context.every(10, note('tick'))
        return () => void ticks++
      },
    }
    system.spawn(definition, 'busy', undefined)
    host.advance(100)
    for (const callback of deferred) callback()
    expect(ticks).toBe(1)
    deferred = []
    host.advance(10)
    for (const callback of deferred) callback()
    expect(ticks).toBe(2)
  })

  test('end with their actor', () => {
    const { host, system } = world()
    const seen: string[] = []
    const definition: Definition<Note, void> = {
      name: 'brief',
      start: context => {
        context.every(10, note('tick'))
        return message => {
          seen.push(message.text)
          context.stop()
        }
      },
    }
    system.spawn(definition, 'brief', undefined)
    host.advance(100)
    expect(seen).toEqual(['tick'])
    expect(system.deadLetters).toBe(0)
  })
})

describe('watch', () => {
  const watcher = (seen: string[], ref: Ref<never>): Definition<Note, void> => ({
    name: 'watcher',
    start: context => {
      context.watch(ref, note('gone'))
      return message => void seen.push(message.text)
    },
  })

  test('tells of a stop ahead of other mail', () => {
    const { host, system } = world()
    const seen: string[] = []
    const target: Definition<Note, void> = {
      name: 'target',
      start: context => () => context.stop(),
    }
    const ref = system.spawn(target, 'target', undefined)
    const watching = system.spawn(watcher(seen, ref), 'watcher', undefined)
    ref.tell(note('stop'))
    watching.tell(note('ordinary'))
    host.runDeferred()
    expect(seen).toEqual(['gone', 'ordinary'])
  })

  test('tells at once when there is no such actor', () => {
    const { host, system } = world()
    const seen: string[] = []
    system.spawn(watcher(seen, system.find<Note>({ name: 'nobody' })), 'watcher', undefined)
    host.runDeferred()
    expect(seen).toEqual(['gone'])
  })

  test('tells of a failure, even when the actor is restarted', () => {
    const { host, system } = world()
    const seen: string[] = []
    const target: Definition<Note, void> = {
      name: 'target',
      start: () => () => {
        throw new Error('broken')
      },
    }
    const ref = system.spawn(target, 'target', undefined, {
      kind: 'restart',
      strategy: 'oneForOne',
      intensity: 1,
      periodMillis: 1000,
      backoffMillis: 0,
    })
    system.spawn(watcher(seen, ref), 'watcher', undefined)
    ref.tell(note('fail'))
    host.runDeferred()
    expect(seen).toEqual(['gone'])
  })
})

test('a turn ends by time: the thread looks at its sockets, and other actors come first', () => {
  let now = 0
  const { timers, random, network, disk, jobs, clock } = manualHost()
  const deferred: (() => void)[] = []
  const host = {
    ...{ timers, random, network, disk, jobs },
    clock: { ...clock, monotonicMillis: () => now },
    defer: (callback: () => void) => void deferred.push(callback),
  }
  const { system } = world({ host })
  const seen: string[] = []
  const busy: Definition<Note, void> = { name: 'busy', start: () => () => void (now += 1) }
  const ref = system.spawn(busy, 'busy', undefined)
  const other = system.spawn(recorder(seen), 'other', undefined)
  for (let index = 0; index < 1_000; index++) ref.tell(note('work'))
  other.tell(note('beat'))
  deferred.shift()?.()
  expect([seen, now]).toEqual([[], 16])
  deferred.shift()?.()
  expect([seen, now]).toEqual([['beat'], 32])
  while (deferred.length > 0) deferred.shift()?.()
  expect(now).toBe(1_000)
})
