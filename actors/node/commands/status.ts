/** `quorate status`: one line a node, from their admin ports; exit code 1 where not all is well. */
import { requestAdmin } from '../admin-client.ts'
import { type NodeStatus, troubles } from '../status.ts'
import { table } from '../table.ts'

export async function status(options: { endpoints: string; json: boolean }): Promise<void> {
  const endpoints = options.endpoints.split(',').map(one => one.trim())
  const answers = await Promise.all(endpoints.map(ask))
  if (options.json) console.log(JSON.stringify(answers, null, 2))
  else {
    const commit = Math.max(0, ...answers.map(one => ('error' in one ? 0 : one.consensus.commit)))
    console.log(table([header, ...answers.map(one => row(one, commit))]))
    const sentences = answers.flatMap(one => ('error' in one ? [] : one.differences))
    for (const sentence of new Set(sentences)) console.log(`warning: ${sentence}`)
    for (const answer of answers) {
      if ('error' in answer) continue
      for (const reason of troubles(answer))
        if (reason !== '') console.log(`warning: ${answer.node}: ${reason}`)
    }
  }
  const faults = faultsOf(answers)
  if (!options.json) for (const fault of faults) console.log(fault)
  if (faults.length > 0) process.exitCode = 1
}

/** What keeps this from being a whole cluster, a line for each. */
function faultsOf(answers: readonly Answer[]): string[] {
  const faults = answers.flatMap(one =>
    'error' in one ? [`${one.endpoint} is unreachable: ${one.error}`] : [],
  )
  const nodes = answers.flatMap(one => ('error' in one ? [] : [one]))
  const leader = nodes.find(({ consensus }) => consensus.role === 'leader')
  if (!nodes.some(({ consensus }) => consensus.leader !== 0)) faults.push('no leader is known')
  const missing = leader?.peers?.links.filter(({ member, up }) => member && !up) ?? []
  for (const { node } of missing) faults.push(`node ${node} has no link to the leader`)
  return faults
}

const header = [
  'node',
  'role',
  'epoch',
  'applied',
  'revision',
  'zxid',
  'sessions',
  'watches',
  'lag',
  'links',
]

type Answer = NodeStatus | { readonly endpoint: string; readonly error: string }

async function ask(endpoint: string): Promise<Answer> {
  try {
    const { status: code, text } = await requestAdmin(endpoint, 'GET', '/status')
    if (code !== 200) return { endpoint, error: `HTTP ${code}: ${text.trim()}` }
    const answer = JSON.parse(text) as Partial<NodeStatus>
    const { consensus, state, watches } = answer
    // Actors that did not answer in time are missing.
    if (consensus === undefined || state === undefined || watches === undefined)
      return { endpoint, error: 'it answers only in part' }
    return answer as NodeStatus
  } catch (error) {
    return {
      endpoint,
      error: (error as Error).message || (error as NodeJS.ErrnoException).code || 'no answer',
    }
  }
}

/** `commit`: the highest that any of them knows; a node is behind by what it has not applied of that. */
function row(answer: Answer, commit: number): string[] {
  if ('error' in answer) return [answer.endpoint, 'unreachable', ...header.slice(2).map(() => '-')]
  const { node, consensus, state, watches } = answer
  return [
    node,
    consensus.role,
    String(consensus.epoch),
    String(state.applied),
    String(state.revision),
    `0x${state.zxid.toString(16)}`,
    String(state.sessions),
    String(watches.watches),
    String(Math.max(0, commit - state.applied)),
    linksOf(answer),
  ]
}

/** How many of the other members it is linked to, and the longest way there and back. */
function linksOf({ peers }: NodeStatus): string {
  const links = peers?.links.filter(({ member }) => member) ?? []
  const up = links.filter(link => link.up)
  if (links.length === 0) return '-'
  const slowest = Math.max(0, ...up.map(({ roundTripMillis }) => roundTripMillis))
  return `${up.length}/${links.length}, ${slowest.toFixed(1)} ms`
}
