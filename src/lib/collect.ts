/** All that comes, as one buffer. Throws `tooMuch()` as soon as it is more than `maxBytes`, and asks for nothing further then. */
export async function collect(
  source: AsyncIterable<Uint8Array>,
  maxBytes: number,
  tooMuch: () => Error,
): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of source) {
    size += chunk.length
    if (size > maxBytes) throw tooMuch()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, size)
}
