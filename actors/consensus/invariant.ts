/** Consensus imports nothing outside its folder, so it has its own. A broken one ends the process. */
export function invariant(condition: boolean, sentence: string): asserts condition {
  if (!condition) throw new Error(`Invariant broken in consensus: ${sentence}`)
}
