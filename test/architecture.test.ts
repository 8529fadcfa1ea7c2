/** The rules of the tree that a compiler does not hold: who may import whom, and who may read time. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const production = ['runtime', 'storage', 'transport', 'actors']
const files = production.flatMap(folder => sourceFiles(join(root, folder)))

/** By prefix of the importing file, the longest that fits: prefixes of what it may import. */
const mayImport: Record<string, readonly string[]> = {
  runtime: ['runtime'],
  storage: ['storage', 'runtime'],
  transport: ['transport', 'runtime'],
  actors: ['actors', 'storage', 'transport', 'runtime'],
}

/** Consensus cores are pure; these files are the shell around them. */
const consensusShell = /^actors\/consensus\/(messages|protocol|shell\/.*)\.ts$/

const ownerOf: Record<string, readonly string[]> = {
  avsc: ['runtime/codec.ts'],
  piscina: ['runtime/threads.ts'],
  'node-cache': ['runtime/cache.ts'],
  '@opentelemetry/api': ['runtime/tracing.ts', 'runtime/metrics.ts'],
  '@opentelemetry/sdk-trace': ['runtime/tracing.ts'],
  '@opentelemetry/resources': ['runtime/tracing.ts'],
  '@opentelemetry/exporter-trace-otlp-http': ['runtime/tracing.ts'],
  '@opentelemetry/sdk-metrics': ['runtime/metrics.ts'],
  commander: ['actors/node/cli.ts'],
  yaml: ['actors/node/config.ts'],
  zod: ['actors/node/config-schema.ts'],
}

describe('imports', () => {
  it('finds the sources', () => {
    expect(files.length).toBeGreaterThan(50)
  })

  it('point one way', () => {
    const wrong = files.flatMap(file =>
      importsOf(file)
        .filter(target => !allowed(file, target))
        .map(target => `${file} imports ${target}`),
    )
    expect(wrong).toEqual([])
  })

  it('of a package stand in its one owner file', () => {
    const wrong = files.flatMap(file =>
      packagesOf(file)
        .filter(name => !(ownerOf[name]?.includes(file) ?? false))
        .map(name => `${file} imports ${name}`),
    )
    expect(wrong).toEqual([])
  })
})

describe('the host seam', () => {
  // The command line and the launcher are outside of it: they run before there is a host.
  const outside =
    /^(runtime\/(clock|random|host-node|network-node|threads|log|tracing|metrics)[\w-]*\.ts|actors\/node\/.*)$/
  const banned =
    /\b(Date\.now|Math\.random|performance\.now|setTimeout|setInterval|setImmediate|randomBytes|getRandomValues)\s*\(/

  it('is the only way to time and randomness', () => {
    const wrong = files.filter(file => !outside.test(file) && banned.test(withoutComments(file)))
    expect(wrong).toEqual([])
  })
})

function allowed(file: string, target: string): boolean {
  if (file.startsWith('actors/consensus/') && !consensusShell.test(file)) {
    return target.startsWith('actors/consensus/') && !consensusShell.test(target)
  }
  if (target.startsWith('actors/node/') && !file.startsWith('actors/node/')) return false
  const top = file.split('/')[0] ?? ''
  return mayImport[top]?.some(prefix => target.startsWith(`${prefix}/`)) ?? false
}

function importsOf(file: string): string[] {
  return specifiersOf(file)
    .filter(specifier => specifier.startsWith('.'))
    .map(specifier => relative(root, join(root, dirname(file), specifier)))
}

function packagesOf(file: string): string[] {
  return specifiersOf(file)
    .filter(specifier => !specifier.startsWith('.') && !specifier.startsWith('node:'))
    .map(specifier =>
      specifier
        .split('/')
        .slice(0, specifier.startsWith('@') ? 2 : 1)
        .join('/'),
    )
}

function specifiersOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8')
  const pattern = /(?:from\s+|import\s*\(\s*|import\s+)'([^']+)'/g
  return [...text.matchAll(pattern)].map(match => match[1] ?? '')
}

function withoutComments(file: string): string {
  const text = readFileSync(join(root, file), 'utf8')
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/.*$/gm, '')
}

function sourceFiles(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts'))
    .map(name => relative(root, join(directory, name)))
}
