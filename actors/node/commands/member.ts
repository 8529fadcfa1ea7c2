/** `quorate member …`: membership changes, asked of any node; the leader carries them out. */
import { requestAdmin } from '../admin-client.ts'
import { CommandError } from '../errors.ts'
import { table } from '../table.ts'

interface Member {
  readonly name: string
  readonly id: number
  readonly peer: string
  readonly etcd: string
  readonly role: string
  readonly store: string
}

export async function list(options: { endpoints: string }): Promise<void> {
  const members = (await ask(options.endpoints, 'GET', '/members')) as Member[]
  const rows = members.map(({ name, id, peer, etcd, role, store }) => {
    return [name, String(id), peer, etcd || '(as configured)', role, store]
  })
  console.log(table([['name', 'id', 'peer', 'etcd', 'role', 'store'], ...rows]))
}

/** Resolves when it leads. */
export async function transfer(node: string, options: { endpoints: string }): Promise<void> {
  const { leader } = (await ask(options.endpoints, 'POST', '/transfer', { node })) as {
    leader: number
  }
  console.log(`node ${leader} leads`)
}

export type Change = 'add' | 'promote' | 'replace' | 'update' | 'remove'

export async function change(
  kind: Change,
  node: string,
  options: { endpoints: string; peer?: string; store?: string; etcd?: string },
): Promise<void> {
  await ask(options.endpoints, 'POST', '/members', {
    change: kind,
    node,
    peer: options.peer,
    store: options.store,
    etcd: options.etcd,
  })
  await list(options)
}

/** The endpoints are tried in order; any node that has a leader carries it out. */
async function ask(
  endpoints: string,
  method: 'GET' | 'POST',
  path: string,
  body?: unknown,
): Promise<unknown> {
  const faults: string[] = []
  for (const endpoint of endpoints.split(',').map(one => one.trim())) {
    try {
      const { status, text } = await requestAdmin(endpoint, method, path, body)
      if (status === 200) return JSON.parse(text)
      faults.push(`${endpoint}: ${errorOf(text)}`)
      // What the cluster refused, another node would refuse as well.
      if (status === 409) break
    } catch (error) {
      faults.push(`${endpoint}: ${(error as Error).message}`)
    }
  }
  throw new CommandError(faults.join('\n'))
}

function errorOf(text: string): string {
  try {
    const { error } = JSON.parse(text) as { error?: unknown }
    return typeof error === 'string' ? error : text.trim()
  } catch {
    return text.trim()
  }
}
