/** A planted bug whose place has moved would only be missed where it is looked for, which takes long. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { canaries } from './canaries.ts'

const places = Object.entries(canaries).flatMap(([name, canary]) =>
  [canary, ...(canary.also ?? [])].map(place => [`${name} in ${place.file}`, place] as const),
)

test.each(places)('%s has its place in the source once', (_, { file, from, to }) => {
  const source = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')
  expect(source.split(from)).toHaveLength(2)
  expect(to).not.toBe(from)
})
