import fc from 'fast-check'
import { pooled } from './pool.ts'
import { length, place } from './text.ts'

interface Size {
  maxLength?: number
  /** How often a text has `maxLength`: unless said, 50,000 of a million cases. */
  oneIn?: number
}

/**
 * Texts that make a parser's cost show when it grows faster than its input: a beginning, one part again and again, an end. Of more
 * than half of them, beginning and end are those of something valid. What doubles with each character shows in twenty, what grows
 * with the cube in a thousand, with the square in `maxLength`: most can be short, and a million of them take minutes.
 */
export function pumped(
  valid: fc.Arbitrary<string>,
  tokens: readonly string[],
  { maxLength = 100_000, oneIn = 20 }: Size = {},
): fc.Arbitrary<string> {
  const word = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...tokens) },
    { weight: 1, arbitrary: fc.constantFrom('a', '0', ' ', '\n', '"', '\\', '/', ',', ';', '=', '-', '.', '_') },
  )
  const words = (minLength: number) => fc.array(word, { minLength, maxLength: 2 }).map((list) => list.join(''))
  const middling = [20, 30, 30, 200, 200, 200, 1000, 1000, 1000, 5000].map((size) => Math.min(size, maxLength))
  const size = fc.oneof(
    { weight: oneIn - 1, arbitrary: fc.constantFrom(...middling) },
    { weight: 1, arbitrary: fc.constant(maxLength) },
  )
  return fc.oneof(
    {
      weight: 6,
      arbitrary: fc.tuple(pooled(valid), place, fc.oneof(words(1), length), size).map(([text, part, what, chars]) => {
        const at = Math.floor((part / 10_000) * (text.length + 1))
        const unit = typeof what === 'string' ? what : text.slice(at, at + what) || 'a'
        return text.slice(0, at) + filled(unit, chars) + text.slice(at)
      }),
    },
    {
      weight: 4,
      arbitrary: fc
        .tuple(words(0), words(1), words(0), size)
        .map(([start, unit, end, chars]) => start + filled(unit, chars) + end),
    },
  )
}

function filled(unit: string, chars: number): string {
  return unit.repeat(Math.ceil(chars / unit.length))
}
