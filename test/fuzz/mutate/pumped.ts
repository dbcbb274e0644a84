import fc from 'fast-check'

/** Long texts that make a parser's cost show when it grows faster than its input: a beginning, one part again and again, an end. */
export function pumped(tokens: readonly string[], maxLength = 100_000): fc.Arbitrary<string> {
  const word = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...tokens) },
    { weight: 1, arbitrary: fc.constantFrom('a', '0', ' ', '\n', '"', '\\', '/', ',', ';', '=', '-', '.', '_') },
  )
  const words = (minLength: number) => fc.array(word, { minLength, maxLength: 2 }).map((list) => list.join(''))
  const size = fc.constantFrom(20, 30, 1000, maxLength, maxLength, maxLength)
  return fc
    .tuple(words(0), words(1), words(0), size)
    .map(([start, unit, end, length]) => start + unit.repeat(Math.ceil(length / unit.length)) + end)
}
