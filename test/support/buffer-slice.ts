/**
 * `Buffer.slice` returns a view where `Uint8Array.slice` copies, and the compiler takes one for the
 * other: what a view into recycled memory keeps is overwritten later. Our own code may not call it;
 * bytes that reach an actor are plain Uint8Arrays (runtime/codec.ts, runtime/network-node.ts).
 */
const view = Buffer.prototype.slice
const ours = /\/(runtime|storage|transport|actors)\/[\w/-]+\.ts/

Buffer.prototype.slice = function slice(this: Buffer, start?: number, end?: number): Buffer {
  const caller = new Error('who').stack?.split('\n')[2] ?? ''
  if (ours.test(caller) && !caller.includes('node_modules')) {
    throw new Error(
      `a Buffer's slice is a view: use subarray, or bytes that are no Buffer;${caller}`,
    )
  }
  return view.call(this, start, end)
}
