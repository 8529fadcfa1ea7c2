/** `quorate init`: the config files of a local cluster. */
import { existsSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { systemDisk } from '../../../runtime/disk-node.ts'
import { ensureDirectory } from '../../../storage/files.ts'
import { configTemplate, type TemplateNode } from '../config-template.ts'
import { CommandError } from '../errors.ts'
import { writeSecret } from '../peer-trust.ts'

export function init(options: { nodes: number; dir: string }): void {
  const existing = configFiles(options.dir, options.nodes).find(file => existsSync(file))
  if (existing !== undefined) throw new CommandError(`${existing} exists; nothing was written`)
  for (const file of writeConfigs(options.dir, options.nodes)) console.log(file)
}

export function configFiles(directory: string, nodeCount: number): string[] {
  return Array.from({ length: nodeCount }, (_, at) => join(directory, `node${at + 1}.yaml`))
}

export const secretName = 'secret'

/** Writes those that do not exist yet, and the secret that they share; returns all. */
export function writeConfigs(
  directory: string,
  nodeCount: number,
  more: Pick<TemplateNode, 'compaction' | 'fourLetterWords'> = {},
): string[] {
  ensureDirectory(systemDisk, resolve(directory))
  const files = configFiles(directory, nodeCount)
  const secretFile = resolve(directory, secretName)
  // Nodes that were written without one, earlier, could not talk to a node that has one.
  if (!existsSync(secretFile) && !files.some(file => existsSync(file))) writeSecret(secretFile)
  const secret = existsSync(secretFile) ? { secretFile } : {}
  files.forEach((file, at) => {
    if (existsSync(file)) return
    const dataDirectory = resolve(directory, `node${at + 1}`)
    const own = { index: at + 1, nodeCount, dataDirectory, clusterName: 'quorate' }
    const text = configTemplate({ ...own, ...secret, ...more })
    writeFileSync(file, text)
  })
  return files
}
