/** What the command line tells its user in one line, without a stack. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}
