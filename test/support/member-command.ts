/** `quorate member …` as an operator types it, asked of one node of a local cluster. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type LocalCluster, sleep } from './local-cluster.ts'

const run = promisify(execFile)
const main = fileURLToPath(new URL('../../actors/node/main.ts', import.meta.url))

/** What it prints. @throws with what it says on stderr when it fails. */
export async function quorate(...args: string[]): Promise<string> {
  const { stdout } = await run(process.execPath, [main, ...args])
  return stdout
}

export function member(on: LocalCluster, via: number, ...args: string[]): Promise<string> {
  return quorate('member', ...args, '--endpoints', on.admin(via))
}

/** Tried again while the node has not caught up, or another change is under way. */
export async function promote(on: LocalCluster, via: number, node: number): Promise<string> {
  for (;;) {
    try {
      return await member(on, via, 'promote', String(node))
    } catch (error) {
      if (!/caught up|under way/.test((error as Error).message)) throw error
      await sleep(100)
    }
  }
}
