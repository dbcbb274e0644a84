import fc from 'fast-check'
import { durationSchema, sizeSchema } from '../../../src/lib/schema.ts'
import { formatDuration, formatSize, parseDuration, parseSize } from '../../../src/lib/units.ts'
import { pumped } from '../mutate/pumped.ts'
import { hostileText } from '../mutate/text.ts'
import { ok, property } from '../property.ts'

export const unitTokens = [
  'ms',
  's',
  'm',
  'h',
  'd',
  'B',
  'KiB',
  'GiB',
  'TiB',
  '.',
  '-',
  '+',
  'e',
  ' ',
  '\n',
  '9'.repeat(400),
]
export const isUsable = (value: number | undefined) =>
  value === undefined || (Number.isSafeInteger(value) && value >= 0)

export const unitProperties = [
  property(
    'durations and sizes',
    hostileText(
      fc.oneof(
        fc
          .tuple(fc.nat(), fc.constantFrom('ms', 's', 'm', 'h', 'd', 'B', 'KiB', 'MiB', 'GiB', 'TiB'))
          .map((parts) => parts.join('')),
        fc.constantFrom('1.5h', '0s', '0.001ms'),
      ),
      unitTokens,
    ),
    (text) => {
      ok(isUsable(parseDuration(text)) && isUsable(parseSize(text)))
      const found = durationSchema.safeParse(text)
      ok(!found.success || (found.data === parseDuration(text) && found.data > 0))
      const size = sizeSchema.safeParse(text)
      ok(!size.success || (size.data === parseSize(text) && size.data > 0))
      ok(!/NaN|Infinity|e\+/.test(`${formatDuration(parseDuration(text) ?? 0)} ${formatSize(parseSize(text) ?? 0)}`))
    },
  ),
  property(
    'long durations',
    pumped(unitTokens),
    (text) => void [parseDuration(text), parseSize(text), durationSchema.safeParse(text)],
    { share: 0.1 },
  ),
]
