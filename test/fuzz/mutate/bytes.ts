import fc from 'fast-check'
import { pooled } from './pool.ts'
import { length, place } from './text.ts'

type BytesMutation =
  | { kind: 'set'; at: number; byte: number }
  | { kind: 'flip'; at: number; bit: number }
  | { kind: 'truncate'; at: number }
  | { kind: 'remove'; at: number; length: number }
  | { kind: 'repeat'; at: number; length: number; times: number }
  | { kind: 'splice'; at: number; token: Buffer }

function bytesMutation(tokens: readonly Buffer[], unit: number): fc.Arbitrary<BytesMutation> {
  const some = fc.oneof(
    length,
    fc.nat({ max: 4 }).map((units) => units * unit),
  )
  return fc.oneof(
    fc.record({
      kind: fc.constant('set'),
      at: place,
      byte: fc.constantFrom(0, 1, 0x20, 0x2f, 0x30, 0x39, 0x7f, 0x80, 0xc0, 0xff),
    }),
    fc.record({ kind: fc.constant('flip'), at: place, bit: fc.nat({ max: 7 }) }),
    fc.record({ kind: fc.constant('truncate'), at: place }),
    fc.record({ kind: fc.constant('remove'), at: place, length: some }),
    fc.record({ kind: fc.constant('repeat'), at: place, length: some, times: fc.constantFrom(1, 2, 10) }),
    fc.record({ kind: fc.constant('splice'), at: place, token: fc.constantFrom(...tokens) }),
  )
}

/** `unit`: what the format is aligned to, so that some mutations keep the alignment. */
function mutateBytes(bytes: Buffer, mutation: BytesMutation, unit: number): Buffer {
  const exact = Math.floor((mutation.at / 10_000) * (bytes.length + 1))
  const at = mutation.kind === 'set' || mutation.kind === 'flip' || exact % 3 === 0 ? exact : exact - (exact % unit)
  const end = 'length' in mutation ? Math.min(bytes.length, at + mutation.length) : at
  const [before, middle, after] = [bytes.subarray(0, at), bytes.subarray(at, end), bytes.subarray(end)]
  switch (mutation.kind) {
    case 'set':
    case 'flip': {
      const copy = Buffer.from(bytes)
      if (at < copy.length) copy[at] = mutation.kind === 'set' ? mutation.byte : copy[at]! ^ (1 << mutation.bit)
      return copy
    }
    case 'truncate':
      return before
    case 'remove':
      return Buffer.concat([before, after])
    case 'repeat':
      return Buffer.concat([before, ...Array.from({ length: mutation.times + 1 }, () => middle), after])
    case 'splice':
      return Buffer.concat([before, mutation.token, after])
  }
}

export function hostileBytes(valid: fc.Arbitrary<Buffer>, tokens: readonly Buffer[], unit = 1): fc.Arbitrary<Buffer> {
  const mutations = fc.array(bytesMutation(tokens, unit), { minLength: 1, maxLength: 4 })
  return fc.oneof(
    {
      weight: 8,
      arbitrary: fc
        .tuple(pooled(valid), mutations)
        .map(([bytes, list]) => list.reduce((now, one) => mutateBytes(now, one, unit), bytes)),
    },
    { weight: 1, arbitrary: valid },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)) },
  )
}
