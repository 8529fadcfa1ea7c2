/**
 * Reads a node's configuration: YAML, then overrides from the environment, then the schema. Every
 * fault is one line: file, line, what is wrong, and the nearest valid key. A variable that names no
 * key is somebody else's: it is warned of, and where Kubernetes set it for a service, left alone.
 */
import { readFileSync } from 'node:fs'
import { isMap, isScalar, LineCounter, parse, parseDocument } from 'yaml'
import type { Document } from 'yaml'
import { type Config, configSchema } from './config-schema.ts'

export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

type Path = readonly (string | number)[]
type Environment = Readonly<Record<string, string | undefined>>

/** Told of variables of the environment that look like keys and name none, a line for each. */
type Warn = (line: string) => void

/** @throws ConfigError with one line for each fault. */
export function loadConfig(
  file: string,
  environment: Environment = process.env,
  warn: Warn = line => console.error(`quorate: ${line}`),
): Config {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new ConfigError(`${file}: cannot be read: ${(error as Error).message}`)
  }
  return parseConfig(text, file, environment, warn)
}

export function parseConfig(
  text: string,
  file: string,
  environment: Environment = {},
  warn: Warn = () => {},
): Config {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const [syntax] = document.errors
  if (syntax !== undefined) {
    const line = lines.linePos(syntax.pos[0]).line
    const why = syntax.message.split('\n')[0]?.replace(/ at line \d+, column \d+:$/, '')
    throw new ConfigError(`${file}:${line}: not valid YAML: ${why}`)
  }
  const values = plainValues(document, file)
  if (typeof values !== 'object' || values === null || Array.isArray(values)) {
    throw new ConfigError(`${file}:1: must be a mapping of keys to values`)
  }
  const overridden = applyEnvironment(values, environment, warn)
  const result = configSchema.safeParse(values)
  if (result.success) return result.data
  const faults = result.error.issues.flatMap(issue => explain(issue, values))
  const where = (path: Path): string => {
    const variable = overridden.get(path.join('.'))
    return variable === undefined
      ? `${file}:${lineOf(document, lines, path)}`
      : `environment ${variable}`
  }
  throw new ConfigError(faults.map(fault => `${where(fault.path)}: ${fault.text}`).join('\n'))
}

/** An alias without its anchor shows only here. */
function plainValues(document: Document, file: string): unknown {
  try {
    return document.toJS() ?? {}
  } catch (error) {
    throw new ConfigError(`${file}: not valid YAML: ${(error as Error).message}`)
  }
}

/** QUORATE_CLUSTER__NAME=x sets cluster.name; values are read as YAML. Returns path → variable. */
function applyEnvironment(
  values: object,
  environment: Environment,
  warn: Warn,
): Map<string, string> {
  const overridden = new Map<string, string>()
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith('QUORATE_') || text === undefined) continue
    const path = variable.slice('QUORATE_'.length).split('__').map(camelCase)
    const unknown = unknownPart(path)
    if (unknown !== undefined) {
      if (!serviceVariable.test(variable)) warn(unknownVariable(variable, unknown))
      continue
    }
    let place = values as Record<string, unknown>
    for (const [at, key] of path.entries()) {
      checkIndex(variable, path.slice(0, at), place, key)
      if (at === path.length - 1) break
      const next = place[key]
      place = (typeof next === 'object' && next !== null ? next : (place[key] = {})) as typeof place
    }
    place[path.at(-1) ?? ''] = yamlValue(variable, text)
    for (let length = path.length; length > 0; length -= 1) {
      overridden.set(path.slice(0, length).join('.'), variable)
    }
  }
  return overridden
}

/**
 * What Kubernetes sets in every container for a service whose name begins with "quorate":
 * QUORATE_SERVICE_HOST, QUORATE_PORT, QUORATE_CLIENT_PORT_2379_TCP_ADDR and the like.
 */
const serviceVariable =
  /^QUORATE_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$/

function unknownVariable(variable: string, unknown: readonly string[]): string {
  const nearest = nearestKey(unknown.at(-1) ?? '', keysAt(unknown.slice(0, -1)))
  const meant = [...unknown.slice(0, -1), nearest].join('.')
  const hint = nearest === undefined ? '' : `; did you mean "${meant}"?`
  return `environment ${variable}: no key is called "${unknown.join('.')}", so it is ignored${hint}`
}

/** The beginning of a path, up to the first part that no schema has. */
function unknownPart(path: readonly string[]): readonly string[] | undefined {
  let schema: Schema | undefined = rootSchema()
  for (const [at, part] of path.entries()) {
    if (schema.shape !== undefined) {
      if (!Object.hasOwn(schema.shape, part)) return path.slice(0, at + 1)
      schema = unwrap(schema.shape[part] as Schema)
    } else if (schema.def.element !== undefined) schema = unwrap(schema.def.element)
    // Names of threads are free; below a plain value there is nothing.
    else return schema.def.type === 'union' ? undefined : path.slice(0, at + 1)
  }
  return undefined
}

/** A property that is no index would be set on a list and read by nobody. */
function checkIndex(variable: string, path: Path, place: object, key: string): void {
  if (!Array.isArray(place) || (/^\d+$/.test(key) && Number(key) <= place.length)) return
  const text = `${path.join('.')} is a list of ${place.length}; "${key}" is no place in it`
  throw new ConfigError(`environment ${variable}: ${text}`)
}

function yamlValue(variable: string, text: string): unknown {
  try {
    return parse(text)
  } catch (error) {
    const why = (error as Error).message.split('\n')[0]
    throw new ConfigError(`environment ${variable}: not valid YAML: ${why}`)
  }
}

function camelCase(words: string): string {
  return words.toLowerCase().replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}

interface Fault {
  readonly path: Path
  readonly text: string
}

interface Issue {
  readonly code?: string | undefined
  readonly path: readonly PropertyKey[]
  readonly message: string
  readonly keys?: readonly string[]
}

function explain(issue: Issue, values: unknown): Fault[] {
  const path = issue.path.map(part => (typeof part === 'number' ? part : String(part)))
  if (issue.code !== 'unrecognized_keys') {
    const key = path.join('.')
    const text = absence(values, path) ?? issue.message
    return [{ path, text: key === '' ? text : `${key}: ${text}` }]
  }
  return (issue.keys ?? []).map(key => {
    const full = [...path, key]
    const nearest = nearestKey(key, keysAt(path))
    const hint = nearest === undefined ? '' : `; did you mean "${[...path, nearest].join('.')}"?`
    return { path: full, text: `unknown key "${full.join('.')}"${hint}` }
  })
}

/** Better said than that undefined or null is no number. */
function absence(values: unknown, path: Path): string | undefined {
  let value = values
  for (const part of path) value = (value as Record<string, unknown> | null | undefined)?.[part]
  if (value === undefined) return 'is missing'
  return value === null ? 'has no value' : undefined
}

/** The valid keys of the mapping at `path`. */
function keysAt(path: Path): string[] {
  let schema: Schema | undefined = rootSchema()
  for (const part of path) {
    const next: Schema | undefined =
      typeof part === 'number' ? schema?.def.element : schema?.shape?.[part]
    schema = next === undefined ? undefined : unwrap(next)
  }
  return Object.keys(schema?.shape ?? {})
}

/** What of zod's schemas this file looks at. */
interface Schema {
  readonly def: { readonly type?: string; readonly innerType?: Schema; readonly element?: Schema }
  readonly shape?: Record<string, Schema>
}

function rootSchema(): Schema {
  return unwrap(configSchema as unknown as Schema)
}

/** Without defaults and the like around it. */
function unwrap(outer: Schema): Schema {
  return outer.shape === undefined && outer.def.innerType !== undefined
    ? unwrap(outer.def.innerType)
    : outer
}

function nearestKey(wrong: string, valid: readonly string[]): string | undefined {
  const ranked = valid
    .map(key => ({ key, distance: editDistance(wrong.toLowerCase(), key.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance)
  const [best] = ranked
  return best !== undefined && best.distance <= Math.max(3, wrong.length / 2) ? best.key : undefined
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const replace = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replace, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}

/** The line of the key at `path`, or of the nearest enclosing key that the file has. */
function lineOf(document: Document, lines: LineCounter, path: Path): number {
  for (let length = path.length; length > 0; length -= 1) {
    const parent =
      length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true)
    const key = path[length - 1]
    if (isMap(parent)) {
      const pair = parent.items.find(item => isScalar(item.key) && item.key.value === key)
      if (pair !== undefined && isScalar(pair.key) && pair.key.range) {
        return lines.linePos(pair.key.range[0]).line
      }
    }
    const node: unknown = document.getIn(path.slice(0, length), true)
    if (typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range)) {
      return lines.linePos(Number(node.range[0])).line
    }
  }
  return 1
}
