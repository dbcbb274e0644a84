import fc from 'fast-check'
import { RemoteError } from '../../../src/lib/errors.ts'
import { Redactor } from '../../../src/lib/redact.ts'
import { hasSpecCode, maxErrorBytes, refused } from '../../../src/oci/errors.ts'
import { pumped } from '../mutate/pumped.ts'
import { hostileJson } from '../mutate/tree.ts'
import { ok, property, same } from '../property.ts'

const redactor = new Redactor()
const statuses = fc.oneof(
  fc.constantFrom(401, 403, 404, 405, 408, 409, 410, 412, 429, 500, 501, 503),
  fc.integer({ min: 100, max: 599 }),
)
const word = fc.stringMatching(/^[A-Z_]{1,12}$/)

const codes: Record<number, string> = {
  401: 'unauthorized',
  403: 'denied',
  404: 'not_found',
  405: 'unsupported',
  408: 'timeout',
  409: 'conflict',
  410: 'not_found',
  412: 'conflict',
  429: 'rate_limited',
  501: 'unsupported',
}

const documents = fc.record({
  errors: fc.array(
    fc.record(
      {
        code: fc.constantFrom<unknown>('TOOMANYREQUESTS', 'UNSUPPORTED', 'DENIED', '', 7),
        message: fc.string(),
        detail: fc.anything(),
      },
      { requiredKeys: [] },
    ),
  ),
})

export const errorProperties = [
  property(
    'errors that are no document',
    fc.tuple(
      statuses,
      fc.constantFrom<(said: string) => unknown>(
        (said) => said,
        (said) => JSON.stringify({ message: said }),
        (said) => JSON.stringify({ details: said }),
        (said) => JSON.stringify({ error: said, error_description: '' }),
        (said) => JSON.stringify({ error: '', error_description: said }),
      ),
      fc.stringMatching(/^[a-z]{1,12}$/),
    ),
    ([status, write, said]) => {
      const body = Buffer.from(String(write(said)))
      const { code, message } = refused({ host: 'h', status, what: 'try', body, redactor })
      ok(message.includes(`(${said})`))
      same(code, codes[status] ?? (status >= 500 ? 'unavailable' : status >= 400 ? 'denied' : 'protocol'))
    },
  ),
  property(
    'error documents that were written',
    fc.tuple(
      statuses,
      fc.array(fc.record({ code: word, message: fc.stringMatching(/^[a-z ]{0,12}$/) }), { maxLength: 12 }),
    ),
    ([status, errors]) => {
      const error = refused({ host: 'h', status, what: 'try', body: Buffer.from(JSON.stringify({ errors })), redactor })
      const shown = errors.slice(0, 10)
      same(
        error.specCodes,
        shown.map(({ code }) => code),
      )
      same(error.status, status)
      if (error.message.length < 300)
        ok(shown.every(({ code, message }) => error.message.includes(`${code}: ${message}`.trim())))
    },
  ),
  property(
    'error documents',
    fc.tuple(
      fc.record({
        status: statuses,
        retryAfterMs: fc.option(fc.nat(), { nil: undefined }),
        isPlain: fc.boolean(),
      }),
      hostileJson(documents, ['\u001b[31m', '<html>', '\u202e'], ['errors', 'code', 'message', 'detail']),
    ),
    ([{ status, retryAfterMs, isPlain }, text]) => {
      const body = Buffer.from(text)
      const error = refused({
        host: 'h',
        status,
        what: 'try',
        body,
        isPlain,
        redactor,
        ...(retryAfterMs !== undefined && { retryAfterMs }),
      })
      same(hasSpecCode(error, 'DENIED'), error.specCodes.includes('DENIED'))
      ok(!hasSpecCode(new Error('DENIED'), 'DENIED'))
      ok(error.specCodes.length <= 10)
      ok(error instanceof RemoteError && error.message.length < 7000)
      // eslint-disable-next-line no-control-regex
      ok(!/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/.test(error.message))
    },
  ),
  property(
    'long error documents',
    pumped(
      documents.map((value) => JSON.stringify(value)),
      ['{"errors":[', '{"code":"', '<', '\u0000', '\u202e', '{"a":'],
    ),
    (text) => {
      refused({ host: 'h', status: 500, what: 'try', body: Buffer.from(text).subarray(0, maxErrorBytes) })
    },
  ),
]
