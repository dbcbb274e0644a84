import type { Dispatcher } from 'undici'
import { RemoteError, type RemoteCode } from '../../lib/errors.ts'
import type { Redactor } from '../../lib/redact.ts'
import { retryAfterOf } from '../../oci/retry-after.ts'

const maxReadBytes = 16 * 1024
const maxShownChars = 500

const codes: Record<number, RemoteCode> = {
  401: 'unauthorized',
  403: 'denied',
  404: 'not_found',
  408: 'timeout',
  409: 'conflict',
  412: 'conflict',
  429: 'rate_limited',
}

/** An answer that says no, with the beginning of its words. */
export async function refusalOf(
  host: string,
  { statusCode: status, headers, body }: Dispatcher.ResponseData,
  redactor: Pick<Redactor, 'redact'>,
): Promise<RemoteError> {
  const words = shown(redactor.redact(await beginningOf(body)))
  const retryAfterMs = retryAfterOf(one(headers['retry-after']), Date.parse(one(headers.date) ?? ''))
  return new RemoteError(codeOf(status), `${host} answered ${status}${words === '' ? '' : `: ${words}`}`, {
    ...{ host, status, retryable: status >= 500 || status === 408 || status === 429 },
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(status >= 300 && status < 400 && { hint: 'Redirects are not followed: write the URL that it leads to.' }),
  })
}

function codeOf(status: number): RemoteCode {
  if (status >= 500) return 'unavailable'
  if (status >= 400) return codes[status] ?? 'denied'
  return status >= 300 ? 'redirect' : 'protocol'
}

async function beginningOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of body) {
      chunks.push(chunk)
      size += chunk.length
      if (size >= maxReadBytes) break
    }
  } catch {
    // The status says enough.
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** It goes to terminals and logs: no control characters. */
function shown(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim()
    .slice(0, maxShownChars)
}

function one(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}
