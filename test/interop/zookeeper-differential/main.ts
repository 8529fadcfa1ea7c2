/**
 * The same requests to a real ZooKeeper 3.9 and to Quorate; prints where their answers differ.
 *
 *   launcher.mjs --script test/interop/zookeeper-differential/main.ts [--seeds 1..200] [--steps 60]
 *     [--cases NAME] [--nodes 3] [--placement spread] [--port 24100] [--against ZK,QUORATE ports]
 */
import { cases } from './cases.ts'
import { randomScenario } from './generate.ts'
import { play, type Scenario } from './scenario.ts'
import { startQuorate, startZookeeper } from './servers.ts'

const options = new Map<string, string>()
for (let at = 2; at < process.argv.length; at += 2) {
  options.set(process.argv[at]?.replace(/^--/, '') ?? '', process.argv[at + 1] ?? '')
}

const nodes = Number(options.get('nodes') ?? 1)
const firstPort = Number(options.get('port') ?? 24_100)
const [from = 1, to = from] = (options.get('seeds') ?? '1..100').split('..').map(Number)
const steps = Number(options.get('steps') ?? 60)
const placement = options.get('placement') ?? 'default'
const shown = Number(options.get('shown') ?? 3)

const real = await startZookeeper(Number(options.get('real-nodes') ?? 1), firstPort)
const ours = await startQuorate(nodes, firstPort + 100, placement)
let passed = 0
let failed = 0
try {
  for (const scenario of scenarios()) await compare(scenario)
} finally {
  await Promise.all([real.stop(), ours.stop()])
}
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 && passed > 0 ? 0 : 1)

function* scenarios(): Generator<Scenario> {
  const wanted = options.get('cases')
  const chosen = cases.filter(one => wanted === undefined || one.name.includes(wanted))
  yield* chosen.filter(one => one.known === undefined)
  if (wanted === undefined) {
    for (let seed = from; seed <= to; seed += 1) yield randomScenario(seed, steps)
  }
  // They leave the two stores in different states.
  yield* chosen.filter(one => one.known !== undefined)
}

async function compare(scenario: Scenario): Promise<void> {
  const [theirs, mine] = await Promise.all([play(scenario, real.ports), play(scenario, ours.ports)])
  const differs = theirs.join('\n') !== mine.join('\n')
  const { name, known } = scenario
  if (differs === (known !== undefined)) {
    passed += 1
    if (known === undefined) return
    console.log(`known      ${name}: ${known}`)
    if (options.get('cases') === undefined) return
  } else {
    failed += 1
    console.log(`${differs ? 'DIFFERENT' : 'THE SAME '}  ${name}`)
  }
  let left = shown
  let step = ''
  for (let at = 0; at < Math.max(theirs.length, mine.length) && left > 0; at += 1) {
    if (theirs[at] === mine[at]) {
      if (!theirs[at]?.startsWith(' ')) step = theirs[at] ?? ''
      continue
    }
    console.log(`  in ${step}\n    ZooKeeper ${theirs[at]}\n    Quorate   ${mine[at]}`)
    left -= 1
  }
}
