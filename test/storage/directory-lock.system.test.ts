import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { lockDirectory } from '../../storage/directory-lock.ts'

let path: string
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'quorate-lock-'))
})
afterEach(() => rmSync(path, { recursive: true, force: true }))

const child = `
  import { lockDirectory } from ${JSON.stringify(new URL('../../storage/directory-lock.ts', import.meta.url).href)}
  await lockDirectory(process.argv[1])
  console.log('owner')
  setInterval(() => {}, 1000)
`

test('two owners of one directory: the second is refused, by name of the first', async () => {
  const first = await lockDirectory(path)
  await expect(lockDirectory(path)).rejects.toThrow(`${path} is in use by process ${process.pid}`)
  first.release()
  const second = await lockDirectory(path)
  second.release()
})

test('another process owns it as long as it lives, also when it is killed', async () => {
  const owner = spawn(process.execPath, ['--input-type=module', '-e', child, path])
  await new Promise(resolve => owner.stdout.once('data', resolve))
  await expect(lockDirectory(path)).rejects.toThrow(`${path} is in use by process ${owner.pid}`)
  owner.kill('SIGKILL')
  await new Promise(resolve => owner.once('exit', resolve))
  const taken = await lockDirectory(path)
  taken.release()
})

test('where the socket cannot be seen (another network namespace) the lock file decides', async () => {
  const owner = spawn(process.execPath, ['--input-type=module', '-e', child, path])
  await new Promise(resolve => owner.stdout.once('data', resolve))
  const mark = readFileSync(join(path, 'lock'), 'utf8')
  const { lockSystem } = await import('../../storage/directory-lock.ts')
  const elsewhere = {
    ...lockSystem,
    listen: (name: string) => lockSystem.listen(`${name}-elsewhere`),
  }
  await expect(lockDirectory(path, elsewhere)).rejects.toThrow(
    `${path} is in use by process ${owner.pid}`,
  )
  owner.kill('SIGKILL')
  await new Promise(resolve => owner.once('exit', resolve))
  // The same number, but a process that started at another time, is not the owner.
  const other = { ...JSON.parse(mark), pid: 1 }
  writeFileSync(join(path, 'lock'), JSON.stringify(other))
  const lock = await lockDirectory(path)
  expect(JSON.parse(readFileSync(join(path, 'lock'), 'utf8'))).toMatchObject({ pid: process.pid })
  lock.release()
})
