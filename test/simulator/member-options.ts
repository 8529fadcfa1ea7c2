/**
 * Worlds of five nodes whose members come and go, while leaders and whoever is with them are cut off
 * from the others, and are asked for changes of the membership just then.
 */
import { below, deriveSeed, seededRandom } from '../../runtime/random.ts'
import { optionsFor, type PlannedFault, type WorldOptions } from './options.ts'

const nodes = 5
const splitsMax = 3
const firstMillis = 1500
const everyMillis = 5000

export function memberOptionsFor(seed: string): WorldOptions {
  const random = seededRandom(deriveSeed(seed, 'members'))
  const faults: PlannedFault[] = []
  let atMillis = firstMillis
  for (let count = 1 + below(random, splitsMax); count > 0; count--) {
    const millis = 1000 + 2500 * random.fraction()
    const companion = 1 + below(random, nodes)
    faults.push({ atMillis, fault: { kind: 'split', companion, millis } })
    const node = 1 + below(random, nodes)
    const later = atMillis + millis * (0.5 + random.fraction())
    if (below(random, 2) === 0)
      faults.push({ atMillis: later, fault: { kind: 'crash', node, millis: 300, how: 'process' } })
    else faults.push({ atMillis: later, fault: { kind: 'remember', node, millis: 500 } })
    atMillis += everyMillis * (0.7 + 0.6 * random.fraction())
  }
  return { ...optionsFor(seed), nodes, faults, healedMillis: atMillis }
}
