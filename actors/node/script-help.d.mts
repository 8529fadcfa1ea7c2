export function asksForHelp(args: readonly string[]): boolean
export function scriptHelp(file: string): string
export function hasOwnHelp(file: string): boolean
