import type { FileHandle } from 'node:fs/promises'

/** Writes all of the bytes at `position`: the system may take fewer at a time. */
export async function writeAll(handle: FileHandle, buffers: readonly Uint8Array[], position: number): Promise<void> {
  let rest = [...buffers]
  let at = position
  while (rest.length > 0) {
    const { bytesWritten } = await handle.writev(rest, at)
    at += bytesWritten
    rest = dropBytes(rest, bytesWritten)
  }
}

function dropBytes(buffers: Uint8Array[], count: number): Uint8Array[] {
  let left = count
  const rest: Uint8Array[] = []
  for (const buffer of buffers) {
    if (left >= buffer.byteLength) left -= buffer.byteLength
    else {
      rest.push(buffer.subarray(left))
      left = 0
    }
  }
  return rest
}
