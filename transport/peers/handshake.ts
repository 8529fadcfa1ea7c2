/**
 * What two nodes that have proven themselves (proof.ts) tell each other first, and the judgement on it.
 * Written by hand, not in Avro: it has to be readable by every version there will ever be. Pure. Little-endian:
 *
 *   u32 magic    u16 protocol version    u8 purpose    u8 zero    u32 from    u32 to
 *   16 bytes store id    u64 incarnation    16 bytes process    text cluster
 *   16 bytes formation, zeros for none    u64 position of the newest membership that it knows
 *   u16 schemas, each: text name    u8 count    count × 16 bytes fingerprint, newest first
 *   (text: u8 length, UTF-8)
 */
export const protocolVersion = 1
export const fingerprintBytes = 16

/**
 * An introduction is closed as soon as both have said hello: the node that dials as a rule does so then.
 * Where that one cannot (it knows no address, or reaches nobody there), it welcomes for messages, and
 * the connection stays.
 */
export const purpose = { messages: 1, checkpoint: 2, introduction: 3 } as const

export interface Hello {
  readonly version: number
  readonly purpose: number
  readonly from: number
  readonly to: number
  /** 16 bytes in hexadecimal, of the data directory (DESIGN.md D14). */
  readonly storeId: string
  /** Grows with every start of a node on its data directory. */
  readonly incarnation: number
  /** Random, one a process: two processes that run one incarnation are told apart by it. */
  readonly process: string
  readonly cluster: string
  /** 16 bytes in hexadecimal: which of all clusters of that name; empty while none is formed there. */
  readonly formation: string
  /** Of the newest membership that is committed as far as it knows; 0: it knows none. */
  readonly position: number
  readonly schemas: readonly SchemaLine[]
}

/** Fingerprints of the schemas that a node reads and writes for one kind of message, newest first. */
export interface SchemaLine {
  readonly name: string
  readonly fingerprints: readonly string[]
}

export type RefusalCode =
  | 'notProven'
  | 'badHello'
  | 'protocolVersion'
  | 'otherCluster'
  | 'wrongNode'
  | 'unknownNode'
  | 'unknownSchema'
  | 'staleIncarnation'
  | 'duplicateIncarnation'
  | 'storeChanged'
  | 'otherFormation'
  | 'otherStore'
  | 'wrongCertificate'

export interface Refusal {
  readonly code: RefusalCode
  readonly text: string
  /** Who is refused, where that is known. */
  readonly from?: number
}

/** What is known of a node from earlier links of this process. */
export interface Acquaintance {
  readonly storeId: string
  readonly incarnation: number
  readonly process: string
}

/** `from` 0: any node but ourselves. Returns why the peer cannot be talked to, or nothing. */
export function judgeHello(
  own: Hello,
  hello: Hello,
  from: number,
  known: Acquaintance | undefined,
): Refusal | undefined {
  return (
    judgeVersion(own, hello) ??
    judgeCluster(own, hello) ??
    judgeNode(own, hello, from) ??
    judgeIncarnation(hello, known) ??
    judgeSchemas(own, hello)
  )
}

function judgeVersion(own: Hello, hello: Hello): Refusal | undefined {
  if (hello.version === own.version) return undefined
  return refuse('protocolVersion', `peer protocol ${hello.version} is not ${own.version}`)
}

function judgeCluster(own: Hello, hello: Hello): Refusal | undefined {
  if (hello.cluster === own.cluster) return judgeFormation(own, hello)
  return refuse('otherCluster', `cluster "${hello.cluster}" is not "${own.cluster}"`)
}

/** A name can be given twice: a node with the disk of another cluster must not follow this one's leader. */
export function judgeFormation(own: Hello, hello: Hello): Refusal | undefined {
  if (own.formation === '' || hello.formation === '' || own.formation === hello.formation)
    return undefined
  return refuse(
    'otherFormation',
    `node ${hello.from} has the data of another cluster "${hello.cluster}": it was formed as ` +
      `${hello.formation}, and node ${own.from} belongs to ${own.formation}`,
  )
}

function judgeNode(own: Hello, hello: Hello, from: number): Refusal | undefined {
  if (hello.from === own.from) {
    return refuse(
      'wrongNode',
      `node ${hello.from} is our own id: two nodes have it, or an address is ours`,
    )
  }
  if (from !== 0 && hello.from !== from) {
    return refuse('wrongNode', `node ${hello.from} answers at the address of node ${from}`)
  }
  if (hello.to !== own.from) {
    return refuse(
      'wrongNode',
      `node ${hello.from} looks for node ${hello.to}, this is node ${own.from}`,
    )
  }
  return undefined
}

function judgeIncarnation(hello: Hello, known: Acquaintance | undefined): Refusal | undefined {
  if (known === undefined) return undefined
  const who = `incarnation ${hello.incarnation} of node ${hello.from}`
  // A new store counts its incarnations anew; whether it may take part is for consensus to say.
  const sameStore = hello.storeId === known.storeId
  if (sameStore && hello.incarnation < known.incarnation) {
    return refuse('staleIncarnation', `${who} is older than ${known.incarnation}, which was here`)
  }
  if (sameStore && hello.incarnation === known.incarnation && hello.process !== known.process) {
    return refuse(
      'duplicateIncarnation',
      `${who} runs in another process too: one data directory, two nodes`,
    )
  }
  if (hello.process === known.process && !sameStore) {
    return refuse(
      'storeChanged',
      `${who} changed its store id from ${known.storeId} to ${hello.storeId}`,
    )
  }
  return undefined
}

function judgeSchemas(own: Hello, hello: Hello): Refusal | undefined {
  for (const line of own.schemas) {
    const theirs = hello.schemas.find(other => other.name === line.name)
    if (theirs === undefined) continue
    if (newestCommon(line.fingerprints, theirs.fingerprints) === undefined) {
      const [newest] = theirs.fingerprints
      return refuse('unknownSchema', `schema ${newest ?? '(none)'} of ${line.name} is unknown here`)
    }
  }
  return undefined
}

/** Both sides find the same one: their histories are one line, of which one may know less. */
export function newestCommon(
  ours: readonly string[],
  theirs: readonly string[],
): string | undefined {
  return ours.find(fingerprint => theirs.includes(fingerprint))
}

function refuse(code: RefusalCode, text: string): Refusal {
  return { code, text }
}

const magic = 0x52505251
const schemasMax = 1000
const fingerprintsMax = 100
const textBytesMax = 255

export function encodeHello(hello: Hello): Uint8Array {
  const writer = new HelloWriter()
  writer.uint(magic, 4)
  writer.uint(hello.version, 2)
  writer.uint(hello.purpose, 1)
  writer.uint(0, 1)
  writer.uint(hello.from, 4)
  writer.uint(hello.to, 4)
  writer.hex(hello.storeId)
  writer.uint(hello.incarnation % twoTo32, 4)
  writer.uint(Math.floor(hello.incarnation / twoTo32), 4)
  writer.hex(hello.process)
  writer.text(hello.cluster)
  writer.hex(hello.formation === '' ? noFormation : hello.formation)
  writer.uint(hello.position % twoTo32, 4)
  writer.uint(Math.floor(hello.position / twoTo32), 4)
  writer.uint(hello.schemas.length, 2)
  for (const { name, fingerprints } of hello.schemas) {
    writer.text(name)
    writer.uint(fingerprints.length, 1)
    for (const fingerprint of fingerprints) writer.hex(fingerprint)
  }
  return Uint8Array.from(writer.bytes)
}

/** A hello, or the sentence that says what is wrong with it. */
export function decodeHello(body: Uint8Array): Hello | Refusal {
  const reader = new HelloReader(body)
  if (reader.uint(4) !== magic)
    return refuse('badHello', 'hello does not begin with the magic number')
  const version = reader.uint(2)
  // What follows may look different in another version; only the version matters then.
  if (version !== protocolVersion)
    return refuse('protocolVersion', `peer protocol ${version} is not ${protocolVersion}`)
  const purposeAndZero = reader.uint(2)
  const hello: Hello = {
    version,
    purpose: purposeAndZero,
    from: reader.uint(4),
    to: reader.uint(4),
    storeId: reader.hex(),
    incarnation: reader.uint(4) + reader.uint(4) * twoTo32,
    process: reader.hex(),
    cluster: reader.text(),
    formation: reader.hex().replace(noFormation, ''),
    position: reader.uint(4) + reader.uint(4) * twoTo32,
    schemas: readSchemas(reader),
  }
  if (reader.short) return refuse('badHello', `hello of ${body.length} bytes is cut short`)
  if (reader.left > 0) return refuse('badHello', `hello has ${reader.left} bytes too many`)
  if (!Object.values<number>(purpose).includes(hello.purpose)) {
    return refuse('badHello', `purpose ${hello.purpose} of a connection is unknown`)
  }
  const { incarnation, position } = hello
  if (hello.from === 0 || ![incarnation, position].every(Number.isSafeInteger)) {
    return refuse(
      'badHello',
      `node ${hello.from}, incarnation ${incarnation} or position ${position} is out of range`,
    )
  }
  return hello
}

export function isRefusal(result: Hello | Refusal): result is Refusal {
  return 'code' in result
}

function readSchemas(reader: HelloReader): SchemaLine[] {
  const lines: SchemaLine[] = []
  const count = Math.min(reader.uint(2), schemasMax)
  for (let index = 0; index < count && !reader.short; index++) {
    const name = reader.text()
    const fingerprints: string[] = []
    const versions = Math.min(reader.uint(1), fingerprintsMax)
    for (let version = 0; version < versions && !reader.short; version++)
      fingerprints.push(reader.hex())
    lines.push({ name, fingerprints })
  }
  return lines
}

export function encodeRefusal(refusal: {
  readonly code: string
  readonly text: string
}): Uint8Array {
  return new TextEncoder().encode(`${refusal.code} ${refusal.text}`)
}

export function decodeRefusal(body: Uint8Array): { readonly code: string; readonly text: string } {
  const all = new TextDecoder().decode(body.subarray(0, 1024))
  const space = all.indexOf(' ')
  return space < 0
    ? { code: all, text: '' }
    : { code: all.slice(0, space), text: all.slice(space + 1) }
}

const twoTo32 = 4294967296
const noFormation = '0'.repeat(2 * fingerprintBytes)

class HelloWriter {
  readonly bytes: number[] = []

  uint(value: number, bytes: number): void {
    for (let shift = 0; shift < bytes; shift++)
      this.bytes.push(Math.floor(value / 2 ** (8 * shift)) & 255)
  }

  text(text: string): void {
    const encoded = new TextEncoder().encode(text)
    if (encoded.length > textBytesMax)
      throw new Error(`"${text}" is longer than ${textBytesMax} bytes`)
    this.bytes.push(encoded.length, ...encoded)
  }

  hex(text: string): void {
    const encoded = Buffer.from(text, 'hex')
    if (encoded.length !== fingerprintBytes)
      throw new Error(`"${text}" is not 16 bytes in hexadecimal`)
    this.bytes.push(...encoded)
  }
}

/** Reads zeros beyond the end and remembers that it did: the caller asks once, at the end. */
class HelloReader {
  short = false
  #at = 0
  readonly #body: Uint8Array

  constructor(body: Uint8Array) {
    this.#body = body
  }

  get left(): number {
    return this.#body.length - this.#at
  }

  uint(bytes: number): number {
    if (!this.#has(bytes)) return 0
    let value = 0
    for (let shift = 0; shift < bytes; shift++) value += this.#body[this.#at++]! * 2 ** (8 * shift)
    return value
  }

  text(): string {
    const bytes = this.uint(1)
    if (!this.#has(bytes)) return ''
    return new TextDecoder().decode(this.#body.subarray(this.#at, (this.#at += bytes)))
  }

  hex(): string {
    if (!this.#has(fingerprintBytes)) return ''
    return Buffer.from(this.#body.subarray(this.#at, (this.#at += fingerprintBytes))).toString(
      'hex',
    )
  }

  #has(bytes: number): boolean {
    if (this.left < bytes) this.short = true
    return !this.short
  }
}
