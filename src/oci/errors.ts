import { RemoteError, type RemoteCode } from '../lib/errors.ts'
import { formatDuration } from '../lib/units.ts'
import { isObject } from './json.ts'

/** Longer error bodies say nothing more that a person would read. */
export const maxErrorBytes = 64 * 1024
const maxShown = 300

/** https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes */
export interface SpecError {
  /** `NAME_UNKNOWN`, `MANIFEST_BLOB_UNKNOWN`, … */
  code: string
  message: string
}

/** An answer that says no, with what the registry said of it. */
export class RegistryError extends RemoteError {
  /** The codes of the specification's error document; empty where there was none. */
  readonly specCodes: readonly string[]

  constructor(
    code: RemoteCode,
    message: string,
    at: ConstructorParameters<typeof RemoteError>[2] & { specCodes: readonly string[] },
  ) {
    super(code, message, at)
    this.specCodes = at.specCodes
  }
}

/** Whether a registry refused with this code, such as `MANIFEST_BLOB_UNKNOWN`: push the children again, once. */
export function hasSpecCode(error: unknown, code: string): boolean {
  return error instanceof RegistryError && error.specCodes.includes(code)
}

export interface Refusal {
  host: string
  status: number
  /** What was tried, as in "cannot …": `push ghcr.io/acme/app:1`. */
  what: string
  body: Uint8Array
  retryAfterMs?: number
}

export function refused({ host, status, what, body, retryAfterMs }: Refusal): RegistryError {
  const errors = parseErrors(body)
  const code = codeOf(status, errors)
  const said = errors.length > 0 ? errors.map((error) => `${error.code}: ${error.message}`).join('; ') : shown(body)
  const wait =
    code === 'rate_limited' && retryAfterMs !== undefined
      ? `, to be tried again in ${formatDuration(retryAfterMs)}`
      : ''
  const hint = hintFor(code, host)
  return new RegistryError(
    code,
    `cannot ${what}: ${host} answered ${status}${said === '' ? '' : ` (${said})`}${wait}`,
    {
      host,
      status,
      retryable: isRetryable(status),
      specCodes: errors.map((error) => error.code),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      ...(hint === undefined ? {} : { hint }),
    },
  )
}

export function isRetryable(status: number): boolean {
  return [408, 429, 500, 502, 503, 504].includes(status)
}

/** The specification's error document; some registries send a bare `{"message"}` or `{"details"}`, and many send HTML. */
export function parseErrors(body: Uint8Array): SpecError[] {
  let json: unknown
  try {
    json = JSON.parse(Buffer.from(body.subarray(0, maxErrorBytes)).toString('utf8'))
  } catch {
    return []
  }
  if (!isObject(json) || !Array.isArray(json.errors)) return []
  return json.errors
    .filter(isObject)
    .slice(0, 10)
    .map(({ code, message, detail }) => ({
      code: clean(typeof code === 'string' || typeof code === 'number' ? String(code) : 'UNKNOWN'),
      message: clean(
        typeof message === 'string' && message !== '' ? message : typeof detail === 'string' ? detail : '',
      ),
    }))
}

const codes: Record<number, RemoteCode> = {
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

function codeOf(status: number, errors: SpecError[]): RemoteCode {
  if (errors.some((error) => error.code === 'TOOMANYREQUESTS')) return 'rate_limited'
  if (errors.some((error) => error.code === 'UNSUPPORTED')) return 'unsupported'
  const known = codes[status]
  if (known !== undefined) return known
  if (status >= 500) return 'unavailable'
  return status >= 400 ? 'denied' : 'protocol'
}

function hintFor(code: RemoteCode, host: string): string | undefined {
  if (code === 'unauthorized' || code === 'denied') {
    return `Check that the repository exists and that these credentials may do this: "longshore login ${host}", or registries in the config.`
  }
  if (code === 'not_found')
    return 'Check the spelling; some registries also say this of repositories that the credentials cannot see.'
  if (code === 'rate_limited') return 'Log in, or look less often: registries allow more to those they know.'
  return undefined
}

/** A text that is no document: worth showing if it is short and plain. */
function shown(body: Uint8Array): string {
  const text = Buffer.from(body.subarray(0, 4 * maxShown))
    .toString('utf8')
    .trim()
  return text.startsWith('<') ? '' : clean(text)
}

/** What a server says goes to terminals and logs: no control characters, and not too much. */
function clean(text: string): string {
  // eslint-disable-next-line no-control-regex
  const plain = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]+/g, ' ').trim()
  return plain.length > maxShown ? `${plain.slice(0, maxShown)}…` : plain
}
