/**
 * Whose directory it is, beside what the store keeps: two nodes that exchanged theirs by a slip
 * of a configuration would not vote (DESIGN.md D14), and this says why before they start.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CommandError } from './errors.ts'

const fileName = 'owner'

/** A data directory, or one for the log. @throws CommandError where the directory is another node's. */
export function checkOwner(directory: string, cluster: string, node: number): void {
  const file = join(directory, fileName)
  const own = `node ${node} of cluster ${cluster}`
  const found = existsSync(file) ? readFileSync(file, 'utf8').trim() : ''
  if (found === own) return
  // A crash may have left it empty.
  if (found === '') writeFileSync(file, `${own}\n`)
  else throw new CommandError(`${directory} belongs to ${found}, not to ${own}`)
}
