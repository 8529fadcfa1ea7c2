import { crc32c } from '../../runtime/crc32c.ts'
import { micros, rate, row, timed } from './figures.ts'

const totalBytes = 256 * 1024 * 1024

export async function crc32cFigures(): Promise<void> {
  const bytes = new Uint8Array(1024 * 1024).map((_, index) => index * 31 + (index >> 7))
  for (const length of [64, 256, 4096, 1024 * 1024]) {
    const count = Math.floor(totalBytes / Math.max(length, 512))
    let checksum = 0
    const run = (times: number): void => {
      for (let index = 0; index < times; index++) checksum = crc32c(bytes, checksum, 0, length)
    }
    run(Math.min(count, 20_000))
    const millis = timed(() => run(count))
    row(`crc32c of ${length} bytes`, rate(length * count, millis), micros(millis / count))
  }
}
