import fc from 'fast-check'
import { readContentRange, readOffset } from '../../../src/oci/range.ts'
import { pumped } from '../mutate/pumped.ts'
import { hostileText } from '../mutate/text.ts'
import { ok, property, same } from '../property.ts'

const bytes = fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 999_999_999_999_999 }))
const contentRanges = fc
  .tuple(bytes, bytes, fc.option(bytes))
  .map(([first, last, size]) => `bytes ${first}-${last}/${size ?? '*'}`)
const tokens = ['bytes ', 'bytes=', '-', '/', '*', '0-0', '/*', ' ', ',', '9'.repeat(400)]

export const rangeProperties = [
  property('Content-Range that was written', fc.tuple(bytes, bytes, fc.option(bytes)), ([first, last, size]) => {
    same(readContentRange(`bytes ${first}-${last}/${size ?? '*'}`), { first, last, size })
  }),
  property('Content-Range', hostileText(contentRanges, tokens), (header) => {
    const range = readContentRange(header)
    if (range === undefined) return
    const numbers = [range.first, range.last, range.size ?? 0]
    ok(numbers.every((number) => Number.isSafeInteger(number) && number >= 0))
    same(
      header
        .slice('bytes '.length)
        .split(/[-/]/)
        .map((part) => (part === '*' ? null : Number(part))),
      [range.first, range.last, range.size],
    )
  }),
  property(
    'Range of an upload',
    fc.tuple(
      hostileText(
        fc.tuple(fc.constantFrom('', 'bytes='), bytes).map(([unit, last]) => `${unit}0-${last}`),
        tokens,
      ),
      fc.nat({ max: 2 }),
    ),
    ([header, expected]) => {
      const offset = readOffset(header, expected)
      const [first, last = '', ...rest] = header.split('-')
      const isRange = ['0', 'bytes=0'].includes(first!) && /^[0-9]+$/.test(last) && rest.length === 0
      same(offset, !isRange ? undefined : Number(last) === 0 && expected !== 1 ? 0 : Number(last) + 1)
    },
  ),
  property('long Content-Range', pumped(contentRanges, tokens), (text) => {
    readContentRange(text)
    readContentRange(`bytes ${text}`)
    readOffset(`0-${text}`, 0)
  }),
]
