import fc from 'fast-check'
import { durationSchema, sizeSchema, textOrSecretSchema } from '../../../src/lib/schema.ts'
import { counted, formatDuration, formatSize, parseDuration, parseSize } from '../../../src/lib/units.ts'
import { pumped } from '../mutate/pumped.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { hostileTree } from '../mutate/tree.ts'
import { hostileText } from '../mutate/text.ts'
import { ok, same, property } from '../property.ts'

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

const textsOrSecrets = fc.oneof<fc.Arbitrary<unknown>[]>(
  fc.string({ maxLength: 5 }),
  fc.record({ secret: fc.string({ maxLength: 5 }) }),
  fc.record({ file: fc.string({ maxLength: 5 }) }),
)

const written = fc.oneof(
  fc
    .tuple(fc.nat(), fc.constantFrom('ms', 's', 'm', 'h', 'd', 'B', 'KiB', 'MiB', 'GiB', 'TiB'))
    .map((parts) => parts.join('')),
  fc.constantFrom('1.5h', '0s', '0.001ms'),
)

export const unitProperties = [
  property('durations and sizes for people', fc.oneof(fc.nat({ max: 100_000 }), fc.nat({ max: 2 ** 40 })), (number) => {
    const parts = formatDuration(number).split(' ')
    const [ms, rounded] = [parts.reduce((sum, part) => sum + parseDuration(part)!, 0), Math.round(number / 1000) * 1000]
    const unit = parseDuration(parts.at(-1)!.replace(/\d+/, '1'))!
    ok(number < 1000 ? ms === number : ms <= rounded && rounded - ms < unit)
    ok(
      parts.length <= 2 &&
        parts.every((part) => parseInt(part) < (part.endsWith('d') ? Infinity : part.endsWith('ms') ? 1000 : 60)),
    )
    const [value, name] = formatSize(number).split(' ') as [string, string]
    const bytes = parseSize(`${value}${name}`)!
    ok(Math.abs(bytes - number) <= 0.05 * parseSize(`1${name}`)!)
    ok(Number(value) <= 1024 && (Number(value) >= 1 || number === 0))
  }),
  property('text or a secret', hostileTree(textsOrSecrets, ['x'], ['secret', 'file']), (value) => {
    const found = textOrSecretSchema.safeParse(value)
    if (typeof value === 'string') return same(found.data, value)
    const [[key, text] = [], ...others] = Object.entries(value ?? {})
    const isSecret = others.length === 0 && ['secret', 'file'].includes(key ?? '') && typeof text === 'string'
    same(found.success, isSecret && text !== '' && !Array.isArray(value))
    if (found.success) ok(found.data instanceof Secret)
  }),
  property('durations and sizes', hostileText(written, unitTokens), (text) => {
    ok(isUsable(parseDuration(text)) && isUsable(parseSize(text)))
    const found = durationSchema.safeParse(text)
    ok(!found.success || (found.data === parseDuration(text) && found.data > 0))
    const size = sizeSchema.safeParse(text)
    ok(!size.success || (size.data === parseSize(text) && size.data > 0))
    ok(['1 file', `${text.length} files`].includes(counted(text.length, 'file')))
    ok(!/NaN|Infinity|e\+/.test(`${formatDuration(parseDuration(text) ?? 0)} ${formatSize(parseSize(text) ?? 0)}`))
  }),
  property(
    'long durations',
    pumped(written, unitTokens),
    (text) => void [parseDuration(text), parseSize(text), durationSchema.safeParse(text)],
  ),
]
