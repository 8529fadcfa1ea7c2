import { describe, expect, test } from 'vitest'
import { isValidPath, parentOf, sequenceSuffix } from '../../../transport/zookeeper/paths.ts'

describe('paths', () => {
  // Each verdict was taken from ZooKeeper 3.9.5.
  test.each([
    '/',
    '/.a',
    '/a.',
    '/...',
    '/a\u00a0',
    '/\ud7ff',
    '/\uf900',
    '/\uffef',
    '/a/b-0000000001',
    '/a b',
  ])('takes %j', path => {
    expect(isValidPath(path)).toBe(true)
  })

  test.each([
    '',
    'a',
    '/a/',
    '//',
    '/a//b',
    '/.',
    '/..',
    '/a/../b',
    '/a/./b',
    '/a\u0001',
    '/a\u0000b',
    '/a\u007f',
    '/a\u009f',
    '/\ue000',
    '/\uf8ff',
    '/\ufff0',
    '/\ufffd',
    '/\u{1f600}',
  ])('refuses %j', path => {
    expect(isValidPath(path)).toBe(false)
  })

  test('the parent of a child of the root is the root', () => {
    expect(parentOf('/a')).toBe('/')
    expect(parentOf('/a/b')).toBe('/a')
  })

  test('suffixes have ten digits and overflow as a Java int does', () => {
    expect(sequenceSuffix(0)).toBe('0000000000')
    expect(sequenceSuffix(17)).toBe('0000000017')
    expect(sequenceSuffix(2 ** 31 - 1)).toBe('2147483647')
    expect(sequenceSuffix(2 ** 31)).toBe('-2147483648')
    expect(sequenceSuffix(2 ** 32 - 1)).toBe('-000000001')
  })
})
