/**
 * The log of the process: one line an event, JSON or plain text. A line is a sentence plus fields;
 * child loggers carry the fields that say who speaks (node, thread, actor). Lines are written in
 * place, so that the last one before a crash is not lost.
 */
import { writeSync } from 'node:fs'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type LogFields = Readonly<Record<string, unknown>>

export interface Logger {
  readonly level: LogLevel
  debug(sentence: string, fields?: LogFields): void
  info(sentence: string, fields?: LogFields): void
  warn(sentence: string, fields?: LogFields): void
  error(sentence: string, fields?: LogFields): void
  /** The same log with fields added to every line. */
  child(fields: LogFields): Logger
}

export interface LogOptions {
  readonly level: LogLevel
  readonly format: 'json' | 'text'
  readonly wallMillis: () => number
  readonly fields?: LogFields
  /** Default: standard output, for `warn` and `error` standard error. */
  readonly write?: (line: string, level: LogLevel) => void
}

const severity = { debug: 0, info: 1, warn: 2, error: 3 } as const

export function createLogger(options: LogOptions): Logger {
  return new LineLogger(options, options.fields ?? {})
}

/** For tests and for parts that are built without a log. */
export const silentLogger: Logger = {
  level: 'error',
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
}

class LineLogger implements Logger {
  readonly level: LogLevel
  readonly #options: LogOptions
  readonly #fields: LogFields
  readonly #least: number

  constructor(options: LogOptions, fields: LogFields) {
    this.level = options.level
    this.#options = options
    this.#fields = fields
    this.#least = severity[options.level]
  }

  debug(sentence: string, fields?: LogFields): void {
    this.#line('debug', sentence, fields)
  }

  info(sentence: string, fields?: LogFields): void {
    this.#line('info', sentence, fields)
  }

  warn(sentence: string, fields?: LogFields): void {
    this.#line('warn', sentence, fields)
  }

  error(sentence: string, fields?: LogFields): void {
    this.#line('error', sentence, fields)
  }

  child(fields: LogFields): Logger {
    return new LineLogger(this.#options, { ...this.#fields, ...fields })
  }

  #line(level: LogLevel, sentence: string, fields: LogFields | undefined): void {
    if (severity[level] < this.#least) return
    const { format, wallMillis, write } = this.#options
    const time = new Date(wallMillis()).toISOString()
    const all = fields === undefined ? this.#fields : { ...this.#fields, ...fields }
    const line =
      format === 'json'
        ? jsonLine(time, level, sentence, all)
        : textLine(time, level, sentence, all)
    if (write === undefined) writeLine(line, level)
    else write(line, level)
  }
}

function jsonLine(time: string, level: LogLevel, sentence: string, fields: LogFields): string {
  return JSON.stringify({ time, level, message: sentence, ...fields }, plainValue)
}

function textLine(time: string, level: LogLevel, sentence: string, fields: LogFields): string {
  let line = `${time} ${level.padEnd(5)} ${sentence}`
  for (const name in fields) {
    const value = fields[name]
    if (value !== undefined) line += ` ${name}=${textValue(value)}`
  }
  return line
}

function textValue(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(value.stack ?? value.message)
  if (typeof value !== 'string') return JSON.stringify(value, plainValue) ?? String(value)
  return /^[\w./:@+-]+$/.test(value) ? value : JSON.stringify(value)
}

function plainValue(_name: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  if (value instanceof Error)
    return { message: value.message, stack: value.stack, cause: value.cause }
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  if (isSerializedBuffer(value)) return Buffer.from(value.data).toString('hex')
  return value
}

/** JSON.stringify calls `Buffer.toJSON` before it asks the replacer. */
function isSerializedBuffer(value: unknown): value is { data: number[] } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'type' in value &&
    value.type === 'Buffer' &&
    'data' in value
  )
}

function writeLine(line: string, level: LogLevel): void {
  const descriptor = severity[level] >= severity.warn ? 2 : 1
  try {
    writeSync(descriptor, `${line}\n`)
  } catch {
    // A full or closed pipe must not stop the service; the line is lost.
  }
}
