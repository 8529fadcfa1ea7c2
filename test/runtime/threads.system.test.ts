import { afterEach, expect, test } from 'vitest'
import type { Definition, Ref } from '../../runtime/actor.ts'
import { silentLogger } from '../../runtime/log.ts'
import { Router } from '../../runtime/router.ts'
import { System } from '../../runtime/system.ts'
import { createJobPool, mainHost, startThreads, type Threads } from '../../runtime/threads.ts'
import {
  echo,
  type EchoMessage,
  type HomeMessage,
  homeProtocol,
  protocols,
  relay,
} from './fixtures/threads.ts'

const placement = { main: ['home'], left: ['relay'], right: ['echo'] }
const running: { threads: Threads; jobs: { close(): Promise<void> } }[] = []

afterEach(async () => {
  for (const { threads, jobs } of running.splice(0)) {
    await threads.stop()
    await jobs.close()
  }
})

interface World {
  readonly relay: Ref<EchoMessage>
  readonly echo: Ref<EchoMessage>
  readonly lost: string[]
  /** Resolves with everything that home got, once it got `count` messages of `kind`. */
  got(kind: HomeMessage['kind'], count: number): Promise<HomeMessage[]>
}

async function start(failAtStart = ''): Promise<World> {
  const jobs = createJobPool(1)
  const system = new System({ host: mainHost(jobs), log: silentLogger, placement, protocols })
  const router = new Router(system)
  const seen: HomeMessage[] = []
  const lost: string[] = []
  let wake = (): void => {}
  const home: Definition<HomeMessage, void> = {
    name: 'home',
    protocol: homeProtocol,
    start: context => {
      context.watch(context.find(echo), { kind: 'gone' })
      return message => {
        seen.push(message)
        wake()
      }
    },
  }
  const threads = await startThreads({
    common: {
      placement,
      node: 1,
      router: {},
      log: { level: 'error', format: 'json', fields: {} },
    },
    module: new URL('./fixtures/threads.ts', import.meta.url),
    setup: () => ({ failAtStart }),
    router,
    log: silentLogger,
    jobs,
    onThreadLost: () => 'restart',
    onLost: (thread, error) => void lost.push(`${thread}: ${error.message}`),
  })
  running.push({ threads, jobs })
  system.spawn(home, 'home', undefined)
  router.open()
  const got = (kind: HomeMessage['kind'], count: number): Promise<HomeMessage[]> =>
    new Promise(resolve => {
      wake = () => {
        if (seen.filter(message => message.kind === kind).length >= count) resolve(seen)
      }
      wake()
    })
  return { relay: system.find(relay), echo: system.find(echo), lost, got }
}

const numbered = (number: number, size = 10): EchoMessage => ({
  kind: 'echo',
  number,
  bytes: new Uint8Array(size).fill(number),
  replyTo: 'home',
})

test('messages cross three threads in order, and jobs run in the pool', async () => {
  const world = await start()
  for (let number = 0; number < 5_000; number++) world.relay.tell(numbered(number))
  world.relay.tell({ kind: 'job', replyTo: 'home' })
  const seen = await world.got('jobDone', 1)
  const echoed = seen.filter(message => message.kind === 'echoed')
  expect(echoed.map(message => message.number)).toEqual(Array.from({ length: 5_000 }, (_, i) => i))
  expect(echoed.every(message => message.thread === 'right')).toBe(true)
  expect([...echoed[300]!.bytes]).toEqual(new Array(10).fill(300 & 255))
  expect(seen.find(message => message.kind === 'jobDone')).toMatchObject({ sum: 6 })
})

test('more than the credit of a link passes in order', async () => {
  const world = await start()
  for (let number = 0; number < 40; number++) world.relay.tell(numbered(number, 1024 * 1024))
  const seen = await world.got('echoed', 40)
  const echoed = seen.filter(message => message.kind === 'echoed')
  expect(echoed.map(message => message.number)).toEqual(Array.from({ length: 40 }, (_, i) => i))
})

test.each(['exit', 'throw'])(
  'a thread that dies (%s) is noticed, replaced and linked anew',
  async how => {
    const world = await start()
    world.relay.tell(numbered(1))
    await world.got('echoed', 1)
    world.relay.tell({ kind: 'die', how })
    await world.got('gone', 1)
    // What is told while there is no such thread is lost: ask until the new one answers.
    let asked = 1
    const asking = setInterval(() => world.relay.tell(numbered(++asked)), 20)
    const seen = await world.got('echoed', 2)
    clearInterval(asking)
    const why = how === 'exit' ? 'worker exited with code: 7' : 'actor echo failed'
    expect(world.lost).toEqual([`right: ${why}`])
    expect(seen.filter(message => message.kind === 'gone')).toHaveLength(1)
  },
)

test('a thread that cannot start is an error of the start', async () => {
  await expect(start('left')).rejects.toThrow('no way to start')
})
