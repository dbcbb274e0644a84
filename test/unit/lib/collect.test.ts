import { expect, it } from 'vitest'
import { collect } from '../../../src/lib/collect.ts'

const tooMuch = () => new Error('too much')

/** Chunks of two bytes; notes how many were asked for, and whether it was told that no more are. */
function source(count: number) {
  const seen = { asked: 0, isOver: false }
  async function* chunks(): AsyncIterable<Uint8Array> {
    try {
      for (; seen.asked < count;) {
        seen.asked++
        yield Buffer.from('ab')
      }
    } finally {
      seen.isOver = true
    }
  }
  return { seen, chunks: chunks() }
}

it('is all that came', async () => {
  expect(await collect(source(0).chunks, 0, tooMuch)).toEqual(Buffer.from(''))
  expect(await collect(source(3).chunks, 6, tooMuch)).toEqual(Buffer.from('ababab'))
})

it('ends with the first chunk that is too much', async () => {
  const { seen, chunks } = source(100)
  await expect(collect(chunks, 5, tooMuch)).rejects.toThrow('too much')
  expect(seen).toEqual({ asked: 3, isOver: true })
})
