import { IntegrityError, RemoteError, type RemoteCode } from '../lib/errors.ts'
import { formatDuration } from '../lib/units.ts'
import type { SecretSink } from './auth.ts'
import { isObject } from './json.ts'

/** Longer error bodies say nothing more that a person would read. */
export const maxErrorBytes = 64 * 1024
const maxShown = 300

/** https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes */
export interface SpecError {
  /** `NAME_UNKNOWN`, `MANIFEST_BLOB_UNKNOWN`, … */
  code: string
  message: string
  /** What ours says in its detail: `quota_exceeded`. */
  reason?: string
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
  /** What the server said, with what takes out secrets: some repeat the header that they did not like. */
  body?: Uint8Array
  redactor?: Pick<SecretSink, 'redact'>
  /** Whether it was asked without TLS. */
  isPlain?: boolean
  retryAfterMs?: number
}

export function refused(refusal: Refusal): RegistryError {
  const { host, status, what, body = new Uint8Array(), redactor, retryAfterMs } = refusal
  const errors = parseErrors(body)
  const code = codeOf(status, errors)
  const words = errors.length > 0 ? errors.map((error) => `${error.code}: ${error.message}`).join('; ') : wordsOf(body)
  const said = clean(redactor?.redact(plain(words)) ?? '')
  const wait =
    code === 'rate_limited' && retryAfterMs !== undefined
      ? `, to be tried again in ${formatDuration(retryAfterMs)}`
      : ''
  const isFull = errors.some(({ reason }) => reason === 'quota_exceeded')
  const hint = isFull ? quotaHint(host) : hintFor(refusal, code)
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

/** For content that was not what it should be: when it came packed, whoever packed it is at fault, and that can be mended. */
export function packed(error: unknown, encoding: string, host: string, what: string): unknown {
  if (!(error instanceof IntegrityError)) return error
  const message = `cannot ${what}: ${host} answered with other bytes, in Content-Encoding ${encoding}, which was not asked for`
  return new RemoteError('protocol', message, {
    host,
    status: 200,
    cause: error,
    hint: 'Turn off compression in the proxy or the storage that does this.',
  })
}

export function isRetryable(status: number): boolean {
  return [408, 429, 500, 502, 503, 504].includes(status)
}

/** The specification's error document; `message` is as it came. */
export function parseErrors(body: Uint8Array): SpecError[] {
  const json = parsed(textOf(body))
  if (!isObject(json) || !Array.isArray(json.errors)) return []
  return json.errors
    .filter(isObject)
    .slice(0, 10)
    .map(({ code, message, detail }) => ({
      code: clean(typeof code === 'string' || typeof code === 'number' ? String(code) : 'UNKNOWN'),
      message: [message, detail].find((one): one is string => typeof one === 'string' && one !== '') ?? '',
      ...(isObject(detail) && typeof detail.reason === 'string' && { reason: detail.reason }),
    }))
}

function textOf(body: Uint8Array): string {
  return Buffer.from(body.subarray(0, maxErrorBytes)).toString('utf8')
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
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

function quotaHint(host: string): string {
  return `Credentials are not what is missing: delete there what is not needed and collect it ("longshore gc --server …"), or have the quota of ${host} raised.`
}

function hintFor({ host, status, isPlain, body }: Refusal, code: RemoteCode): string | undefined {
  if (status === 401 || status === 403) {
    return `Check that the repository exists and that these credentials may do this: "longshore login ${host}", or registries in the config.`
  }
  if (code === 'not_found')
    return 'Check the spelling; some registries also say this of repositories that the credentials cannot see.'
  if (code === 'rate_limited') return 'Log in, or look less often: registries allow more to those they know.'
  if (status === 413) return `${host}, or a proxy before it, limits the size of what may be pushed.`
  const isNoDocument = body === undefined || !isObject(parsed(textOf(body)))
  if (status === 400 && isPlain === true && isNoDocument) {
    return `It was asked over plain HTTP. If it speaks HTTPS, set "plain_http: false" for ${host} under registries, and ca for a certificate of your own authority.`
  }
  return undefined
}

/** Some registries send a bare `{"message"}` or `{"details"}`, token servers OAuth2's `{"error"}`, and many HTML. Other JSON may be a token. */
function wordsOf(body: Uint8Array): string {
  const text = textOf(body)
  const json = parsed(text)
  if (json === undefined) return text.trim().startsWith('<') ? '' : text
  if (!isObject(json)) return ''
  const words = [json.message, json.details, json.error, json.error_description]
  return words.filter((word) => typeof word === 'string' && word !== '').join(': ')
}

/** What a server says goes to terminals and logs: no control characters … */
function plain(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]+/g, ' ').trim()
}

/** … and not too much. */
function clean(text: string): string {
  const short = plain(text)
  return short.length > maxShown ? `${short.slice(0, maxShown)}…` : short
}
