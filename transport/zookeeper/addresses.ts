/** IPv4 and IPv6 literals as bytes, and the `address/bits` expressions of ACL scheme `ip`. */

/** Eight groups of four digits, or six and an IPv4 address, with what stands between them. */
const addressCharactersMax = 45

/** 4 or 16 bytes; `undefined` if this is no address. */
export function addressBytes(text: string): Uint8Array | undefined {
  if (text.length > addressCharactersMax) return undefined
  return text.includes(':') ? version6(text) : version4(text)
}

/** How sockets name an IPv4 client of a dual-stack listener, turned into the plain form. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}

export interface AddressRange {
  readonly bytes: Uint8Array
  readonly bits: number
}

export function addressRange(expression: string): AddressRange | undefined {
  const slash = expression.indexOf('/')
  const bytes = addressBytes(slash < 0 ? expression : expression.slice(0, slash))
  if (bytes === undefined) return undefined
  if (slash < 0) return { bytes, bits: bytes.length * 8 }
  const digits = expression.slice(slash + 1)
  const bits = /^\d{1,3}$/.test(digits) ? Number(digits) : -1
  return bits < 0 || bits > bytes.length * 8 ? undefined : { bytes, bits }
}

export function isInRange(bytes: Uint8Array, range: AddressRange): boolean {
  if (bytes.length !== range.bytes.length) return false
  for (let index = 0; index < bytes.length; index += 1) {
    const bits = Math.min(8, range.bits - index * 8)
    if (bits <= 0) return true
    const mask = (0xff << (8 - bits)) & 0xff
    if (((bytes[index]! ^ range.bytes[index]!) & mask) !== 0) return false
  }
  return true
}

function version4(text: string): Uint8Array | undefined {
  const parts = text.split('.')
  if (parts.length !== 4) return undefined
  const bytes = new Uint8Array(4)
  for (const [index, part] of parts.entries()) {
    if (!/^\d{1,3}$/.test(part) || Number(part) > 255) return undefined
    bytes[index] = Number(part)
  }
  return bytes
}

function version6(text: string): Uint8Array | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const head = groups(halves[0]!)
  const tail = halves.length === 2 ? groups(halves[1]!) : []
  if (head === undefined || tail === undefined) return undefined
  const missing = 8 - head.length - tail.length
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined
  const all = [...head, ...new Array<number>(missing).fill(0), ...tail]
  const bytes = new Uint8Array(16)
  for (const [index, group] of all.entries()) {
    bytes[index * 2] = group >>> 8
    bytes[index * 2 + 1] = group
  }
  return bytes
}

function groups(text: string): number[] | undefined {
  if (text === '') return []
  const found: number[] = []
  for (const part of text.split(':')) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined
    found.push(Number.parseInt(part, 16))
  }
  return found
}
