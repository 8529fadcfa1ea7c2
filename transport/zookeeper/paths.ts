/**
 * What a znode's path may look like (facts 1.10). ZooKeeper judges UTF-16 units, so everything
 * beyond the basic plane is refused along with lone surrogates and the private area.
 */
export function isValidPath(path: string): boolean {
  const { length } = path
  if (length === 0 || path.charCodeAt(0) !== slash) return false
  if (length === 1) return true
  if (path.charCodeAt(length - 1) === slash) return false
  let component = 1
  for (let index = 1; index <= length; index += 1) {
    const unit = index === length ? slash : path.charCodeAt(index)
    if (unit === slash) {
      if (!isValidComponent(path, component, index)) return false
      component = index + 1
    } else if (!isValidUnit(unit)) {
      return false
    }
  }
  return true
}

/** '/a/b' → '/a'; '/a' → '/'. */
export function parentOf(path: string): string {
  const at = path.lastIndexOf('/')
  return at <= 0 ? '/' : path.slice(0, at)
}

/** Ten digits, as Java formats an int; beyond 2^31 - 1 the counter goes on at -2147483648. */
export function sequenceSuffix(counter: number): string {
  const int = counter | 0
  return int < 0 ? `-${String(-int).padStart(9, '0')}` : String(int).padStart(10, '0')
}

const slash = 0x2f
const dot = 0x2e

function isValidComponent(path: string, start: number, end: number): boolean {
  const length = end - start
  if (length === 0) return false
  if (path.charCodeAt(start) !== dot) return true
  return length > 2 || (length === 2 && path.charCodeAt(start + 1) !== dot)
}

function isValidUnit(unit: number): boolean {
  if (unit < 0x20) return false
  if (unit < 0x7f) return true
  if (unit <= 0x9f) return false
  return !((unit >= 0xd800 && unit <= 0xf8ff) || unit >= 0xfff0)
}
