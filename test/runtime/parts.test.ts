import { describe, expect, test } from 'vitest'
import { createCache } from '../../runtime/cache.ts'
import { unreachable } from '../../runtime/invariant.ts'
import { createLogger } from '../../runtime/log.ts'
import { rememberedNames } from '../../runtime/name-lookup.ts'
import { defineProtocol, nameHash, schemaTable } from '../../runtime/protocol.ts'
import { below, deriveSeed, seededRandom, systemRandom } from '../../runtime/random.ts'
import { formatTraceparent, parseTraceparent, tracingOff } from '../../runtime/tracing.ts'

describe('random', () => {
  test('repeats itself from its seed, and differs between seeds', () => {
    const draw = (seed: string): number[] => {
      const random = seededRandom(seed)
      return Array.from({ length: 20 }, () => random.uint32())
    }
    expect(draw('7/a')).toEqual(draw('7/a'))
    expect(draw(deriveSeed(7, 'a'))).toEqual(draw('7/a'))
    expect(draw('7/a')).not.toEqual(draw('7/b'))
    expect([...seededRandom(1).bytes(5)]).toEqual([...seededRandom(1).bytes(5)])
  })

  test('is spread evenly', () => {
    const random = seededRandom(1)
    const counts = new Array<number>(16).fill(0)
    for (let draw = 0; draw < 16_000; draw++) counts[below(random, 16)]!++
    for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(150)
    for (let draw = 0; draw < 1_000; draw++) {
      const fraction = random.fraction()
      expect(fraction >= 0 && fraction < 1).toBe(true)
    }
  })

  test('of the system differs each time', () => {
    expect(systemRandom().uint32()).not.toBe(systemRandom().uint32())
    expect([...systemRandom().bytes(16)]).not.toEqual([...systemRandom().bytes(16)])
  })
})

describe('log', () => {
  function lines(format: 'json' | 'text', level: 'debug' | 'warn' = 'debug') {
    const written: string[] = []
    const log = createLogger({
      level,
      format,
      wallMillis: () => 0,
      fields: { node: 1 },
      write: line => void written.push(line),
    })
    return { log, written }
  }

  test('lines of JSON carry the fields of their logger and their own', () => {
    const { log, written } = lines('json')
    const error = new Error('broken')
    log
      .child({ thread: 'state' })
      .info('Something happened', { id: 5n, bytes: Buffer.from('a'), error })
    expect(JSON.parse(written[0]!)).toMatchObject({
      time: '1970-01-01T00:00:00.000Z',
      level: 'info',
      message: 'Something happened',
      node: 1,
      thread: 'state',
      id: '5',
      bytes: '61',
      error: { message: 'broken' },
    })
  })

  test('lines of text stay one line', () => {
    const { log, written } = lines('text')
    log.warn('Look', { path: '/a b', text: 'two\nlines', plain: 'x-1', none: undefined })
    expect(written).toEqual([
      '1970-01-01T00:00:00.000Z warn  Look node=1 path="/a b" text="two\\nlines" plain=x-1',
    ])
  })

  test('below the level nothing is written', () => {
    const { log, written } = lines('json', 'warn')
    log.info('quiet')
    log.error('loud')
    expect(written).toHaveLength(1)
  })
})

describe('cache', () => {
  test('keeps what it is given as it is, under any key', () => {
    const cache = createCache<object>({ timeToLiveMillis: 60_000, keysMax: 10 })
    const value = { bytes: Buffer.from('x') }
    for (const key of ['__proto__', 'constructor', '', '/a']) {
      expect(cache.get(key)).toBeUndefined()
      cache.set(key, value)
      expect(cache.get(key)).toBe(value)
    }
    expect(cache.size).toBe(4)
    cache.delete('__proto__')
    expect(cache.get('__proto__')).toBeUndefined()
  })

  test('makes room by letting the oldest go', () => {
    const cache = createCache<number>({ timeToLiveMillis: 60_000, keysMax: 3 })
    for (let key = 0; key < 5; key++) cache.set(String(key), key)
    expect([0, 1, 2, 3, 4].map(key => cache.get(String(key)))).toEqual([
      undefined,
      undefined,
      2,
      3,
      4,
    ])
    cache.set('4', 40)
    expect(cache.size).toBe(3)
  })
})

describe('names of other machines', () => {
  test('are asked for once, until a dial fails; what was not found is asked for again', async () => {
    const asked: string[] = []
    const { lookup, forget } = rememberedNames((host, _options, callback) => {
      asked.push(host)
      if (host === 'unknown') callback(new Error('not found'), '')
      else callback(null, `10.0.0.${asked.length}`, 4)
    })
    const address = (host: string) =>
      new Promise(resolve => lookup(host, {}, (error, found) => resolve(error?.message ?? found)))
    expect([await address('a'), await address('a'), await address('b')]).toEqual([
      '10.0.0.1',
      '10.0.0.1',
      '10.0.0.2',
    ])
    forget('a')
    expect(await address('a')).toBe('10.0.0.3')
    expect([await address('unknown'), await address('unknown')]).toEqual(['not found', 'not found'])
    expect(asked).toEqual(['a', 'b', 'a', 'unknown', 'unknown'])
  })
})

describe('protocol', () => {
  type One = { readonly kind: 'a'; readonly x: number } | { readonly kind: 'b' }
  const one = defineProtocol<One>('one', { a: { x: 'long' }, b: {} }, { reserved: ['b'] })

  test('names kinds by a hash that does not change', () => {
    expect(nameHash('one.a')).toBe(one.kindOf('a').id)
    expect(nameHash('consensus')).toBe(1493914508)
    expect(one.kindById(one.kindOf('b').id)?.reserved).toBe(true)
    expect(() => one.kindOf('c' as never)).toThrow('no kind c')
  })

  test('has a table of schemas for handshakes, in a stable order', () => {
    const two = defineProtocol<One>('alpha', { b: {}, a: { x: 'int' } })
    const table = schemaTable([one as never, two as never])
    expect(table.map(schema => schema.name)).toEqual(['alpha.a', 'alpha.b', 'one.a', 'one.b'])
    const again = defineProtocol<One>('one', { b: {}, a: { x: 'long' } })
    expect(again.kindOf('a').codec.fingerprint).toBe(one.kindOf('a').codec.fingerprint)
    expect(two.kindOf('a').codec.fingerprint).not.toBe(one.kindOf('a').codec.fingerprint)
  })
})

describe('trace context', () => {
  const header = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

  test('is read from and written as a traceparent', () => {
    const context = parseTraceparent(header)!
    expect(context.sampled).toBe(true)
    expect(context.traceId.length).toBe(16)
    expect(formatTraceparent(context)).toBe(header)
    expect(parseTraceparent(header.replace(/01$/, '00'))?.sampled).toBe(false)
    expect(parseTraceparent(header.replace(/^00/, '01').concat('-more'))).toBeDefined()
  })

  test.each([
    '',
    'x',
    header.slice(1),
    `${header}-more`,
    header.toUpperCase(),
    header.replace(/^00/, 'ff'),
    `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
    `00-0af7651916cd43dd8448eb211c80319c-${'0'.repeat(16)}-01`,
  ])('%j is none', text => expect(parseTraceparent(text)).toBeUndefined())

  test('costs nothing where tracing is off', () => {
    expect(tracingOff.enabled).toBe(false)
    expect(tracingOff.startRequest('zookeeper exists', {}).context.sampled).toBe(false)
  })
})

test('an unreachable case names what arrived', () => {
  expect(() => unreachable({ kind: 'odd' } as never)).toThrow('unexpected kind odd')
})
