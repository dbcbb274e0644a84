import fc from 'fast-check'

const poolSize = 400
const seed = 1

/**
 * Nearly always one of a few hundred values, made once: for what is mutated anyway, and takes longer to make than to read. The
 * shortest come first, so that what fails shrinks towards them.
 */
export function pooled<T>(values: fc.Arbitrary<T>): fc.Arbitrary<T> {
  let pool: T[] | undefined
  const make = () =>
    fc.sample(values, { numRuns: poolSize, seed }).toSorted((one, other) => lengthOf(one) - lengthOf(other))
  return fc.oneof(
    { weight: 19, arbitrary: fc.nat({ max: poolSize - 1 }).map((at) => (pool ??= make())[at]!) },
    { weight: 1, arbitrary: values },
  )
}

function lengthOf(value: unknown): number {
  if (typeof value === 'string' || Buffer.isBuffer(value)) return value.length
  return JSON.stringify(value)?.length ?? 0
}
