/**
 * The Huffman code of RFC 7541, appendix B. The code is canonical: codes count upwards through the
 * symbols ordered by length, then by value, so the symbols of each length say everything.
 */
import { ConnectionError, errorCode } from './protocol.ts'

const endOfString = 256

// biome-ignore format: one line for each code length
const symbolsByLength: Readonly<Record<number, readonly number[]>> = {
  5: [48, 49, 50, 97, 99, 101, 105, 111, 115, 116],
  6: [32, 37, 45, 46, 47, 51, 52, 53, 54, 55, 56, 57, 61, 65, 95, 98, 100, 102, 103, 104, 108, 109, 110, 112, 114, 117],
  7: [58, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 89, 106, 107, 113, 118, 119, 120, 121, 122],
  8: [38, 42, 44, 59, 88, 90],
  10: [33, 34, 40, 41, 63],
  11: [39, 43, 124],
  12: [35, 62],
  13: [0, 36, 64, 91, 93, 126],
  14: [94, 125],
  15: [60, 96, 123],
  19: [92, 195, 208],
  20: [128, 130, 131, 162, 184, 194, 224, 226],
  21: [153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230],
  22: [129, 132, 133, 134, 136, 146, 154, 156, 160, 163, 164, 169, 170, 173, 178, 181, 185, 186, 187, 189, 190, 196, 198, 228, 232, 233],
  23: [1, 135, 137, 138, 139, 140, 141, 143, 147, 149, 150, 151, 152, 155, 157, 158, 165, 166, 168, 174, 175, 180, 182, 183, 188, 191, 197, 231, 239],
  24: [9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237],
  25: [199, 207, 234, 235],
  26: [192, 193, 200, 201, 202, 205, 210, 213, 218, 219, 238, 240, 242, 243, 255],
  27: [203, 204, 211, 212, 214, 221, 222, 223, 241, 244, 245, 246, 247, 248, 250, 251, 252, 253, 254],
  28: [2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28, 29, 30, 31, 127, 220, 249],
  30: [10, 13, 22, endOfString],
}

const codes = new Uint32Array(257)
const lengths = new Uint8Array(257)

/**
 * Decoding walks a tree eight bits a step. An entry of a node: above 0 a leaf, `symbol << 4 | bits
 * used of this step`; below 0 the negated number of the next node; 0 is no code.
 */
const nodes: Int16Array[] = [new Int16Array(256)]

assignCodes()

function assignCodes(): void {
  let code = 0
  let lengthBefore = 0
  for (const [key, symbols] of Object.entries(symbolsByLength)) {
    const length = Number(key)
    code *= 2 ** (length - lengthBefore)
    lengthBefore = length
    for (const symbol of symbols) addCode(symbol, code++, length)
  }
}

function addCode(symbol: number, code: number, length: number): void {
  codes[symbol] = code
  lengths[symbol] = length
  let node = 0
  let left = length
  for (; left > 8; left -= 8) {
    const step = (code >>> (left - 8)) & 0xff
    const table = nodes[node]!
    if (table[step] === 0) table[step] = -(nodes.push(new Int16Array(256)) - 1)
    node = -table[step]!
  }
  const first = (code << (8 - left)) & 0xff
  nodes[node]!.fill((symbol << 4) | left, first, first + 2 ** (8 - left))
}

/** Longest text that one encoded byte can stand for is 8/5 characters. */
const scratch = Buffer.allocUnsafe(64 * 1024)

export function huffmanDecode(bytes: Uint8Array, start: number, end: number): string {
  const target =
    (end - start) * 2 <= scratch.length ? scratch : Buffer.allocUnsafe((end - start) * 2)
  let length = 0
  let node = 0
  let bits = 0
  let bitCount = 0
  /** Bits read since the last whole symbol: at the end they must be padding. */
  let openBits = 0
  for (let at = start; at < end || bitCount >= 8; ) {
    if (bitCount < 8) {
      bits = ((bits << 8) | bytes[at++]!) & 0xffff
      bitCount += 8
      openBits += 8
    }
    const entry = nodes[node]![(bits >>> (bitCount - 8)) & 0xff]!
    if (entry > 0) {
      const used = entry & 15
      if (entry >>> 4 === endOfString) throw invalid('the end-of-string symbol is coded')
      target[length++] = entry >>> 4
      bitCount -= used
      openBits = bitCount
      node = 0
    } else if (entry < 0) {
      node = -entry
      bitCount -= 8
    } else throw invalid('no such code')
  }
  length = decodeTail(target, length, node, bits, bitCount, openBits)
  return target.toString('latin1', 0, length)
}

/** Fewer than eight bits are left: short codes may end in them, what remains is padding of ones. */
function decodeTail(
  target: Buffer,
  length: number,
  node: number,
  bits: number,
  bitCount: number,
  openBits: number,
): number {
  while (bitCount > 0) {
    const entry = nodes[node]![(bits << (8 - bitCount)) & 0xff]!
    const used = entry & 15
    if (entry <= 0 || used > bitCount) break
    if (entry >>> 4 === endOfString) throw invalid('the end-of-string symbol is coded')
    target[length++] = entry >>> 4
    bitCount -= used
    openBits = bitCount
    node = 0
  }
  if (openBits > 7) throw invalid('more than seven bits of padding')
  const ones = (1 << bitCount) - 1
  if ((bits & ones) !== ones) throw invalid('padding is not of ones')
  return length
}

function invalid(reason: string): ConnectionError {
  return new ConnectionError(errorCode.compressionError, `Huffman code: ${reason}`)
}

/** Bytes that `text` (of characters below 256) takes when coded. */
export function huffmanBytes(text: string): number {
  let bits = 0
  for (let at = 0; at < text.length; at++) bits += lengths[text.charCodeAt(at)]!
  return (bits + 7) >>> 3
}

/** Writes the coded text to `target` at `offset`; returns where it ends. */
export function huffmanEncode(text: string, target: Uint8Array, offset: number): number {
  let bits = 0
  let bitCount = 0
  for (let at = 0; at < text.length; at++) {
    const symbol = text.charCodeAt(at)
    let left = lengths[symbol]!
    const code = codes[symbol]!
    while (left > 0) {
      const taken = Math.min(left, 8 - bitCount)
      left -= taken
      bits = (bits << taken) | ((code >>> left) & ((1 << taken) - 1))
      bitCount += taken
      if (bitCount === 8) {
        target[offset++] = bits
        bits = 0
        bitCount = 0
      }
    }
  }
  if (bitCount > 0) target[offset++] = (bits << (8 - bitCount)) | ((1 << (8 - bitCount)) - 1)
  return offset
}
