// What a script of this repository says for --help: the comment at its head, and its options as it
// hands them to parseArgs. Plain JavaScript, for the launcher.
import { readFileSync } from 'node:fs'
import { relative } from 'node:path'

/** Whether these arguments ask for help, and not for something that is only called so. */
export function asksForHelp(args) {
  return args.includes('--help') || args.includes('-h')
}

/** `file` is the path of the script. */
export function scriptHelp(file) {
  const text = readFileSync(file, 'utf8')
  const usage = `Usage: node actors/node/launcher.mjs --script ${relative(process.cwd(), file)} [options]`
  const options = optionsOf(text)
  const parts = [usage, headOf(text), options.length === 0 ? '' : `Options:\n${options.join('\n')}`]
  return `${parts.filter(part => part !== '').join('\n\n')}\n`
}

/** Scripts that describe their options to commander have a help of their own. */
export function hasOwnHelp(file) {
  return readFileSync(file, 'utf8').includes(" from 'commander'")
}

function headOf(text) {
  const block = /^\/\*\*(.*?)\*\//s.exec(text)?.[1] ?? ''
  return block
    .split('\n')
    .map(line => line.replace(/^ ?\* ?/, '').trimEnd())
    .join('\n')
    .trim()
}

function optionsOf(text) {
  const options = /parseArgs\(\{.*?options: \{(.*?)\n {2}\}/s.exec(text)?.[1] ?? ''
  const one = /^\s*'?([\w-]+)'?: \{ type: '(\w+)'(?:, default: (.+?))? \}/gm
  return [...options.matchAll(one)].map(([, name, type, standard]) => {
    const value = type === 'string' ? ' VALUE' : ''
    const otherwise = standard === undefined ? '' : `   default ${standard.replaceAll("'", '')}`
    return `  --${name}${value}${otherwise}`
  })
}
