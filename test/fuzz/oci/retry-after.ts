import fc from 'fast-check'
import { retryAfterOf } from '../../../src/oci/retry-after.ts'
import { pumped } from '../mutate/pumped.ts'
import { hostileText, orNone } from '../mutate/text.ts'
import { ok, property, same } from '../property.ts'

const written = fc.oneof(
  fc.nat().map(String),
  fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
)

export const retryAfterProperties = [
  property(
    'Retry-After',
    orNone(hostileText(written, ['GMT', 'Mon, ', '1e5', '99999999999999999999', '-'])),
    (text) => {
      const waitMs = retryAfterOf(text, Date.UTC(2026, 0, 1))
      ok(text !== undefined || waitMs === undefined)
      if (/^\d{1,4}$/.test(text ?? '')) same(waitMs, Number(text) * 1000)
      ok(waitMs === undefined || (Number.isFinite(waitMs) && waitMs >= 0 && waitMs <= 6 * 3_600_000))
    },
  ),
  property(
    'long Retry-After',
    pumped(written, ['1', 'Mon, 1 Jan 2026 00:00:00 ', 'GMT', '(']),
    (text) => void retryAfterOf(text, 0),
  ),
]
