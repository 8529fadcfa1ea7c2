/**
 * What must hold whatever happens outside. A broken invariant is a bug: it fails the actor, and the
 * actor's supervision decides how far the failure goes (consensus and storage end the process).
 */
export function invariant(condition: unknown, sentence: string): asserts condition {
  if (!condition) throw new InvariantError(sentence)
}

export class InvariantError extends Error {
  constructor(sentence: string) {
    super(`Invariant broken: ${sentence}`)
    this.name = 'InvariantError'
  }
}

/** The end of a switch over a union: the compiler proves that nothing arrives here. */
export function unreachable(value: never): never {
  throw new InvariantError(`unexpected ${describe(value)}`)
}

function describe(value: unknown): string {
  if (typeof value === 'object' && value !== null && 'kind' in value)
    return `kind ${String(value.kind)}`
  return String(value)
}
