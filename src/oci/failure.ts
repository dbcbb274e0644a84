import { LongshoreError, RemoteError } from '../lib/errors.ts'
import { ProxyFailure, exampleProxy } from './proxy.ts'

const notHttp = new Set(['HTTPParserError', 'UND_ERR_HEADERS_OVERFLOW', 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH'])
const lost = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'])
const tlsCodes = /^(?:CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_|HOSTNAME_MISMATCH|ERR_SSL_|EPROTO)/

const untrusted = 'nobody whom we trust signed its certificate'

/** Instead of advice for whoever wrote the program. */
const tlsWords: Record<string, string> = {
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet',
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  UNABLE_TO_GET_ISSUER_CERT: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'it does not speak TLS',
}

/** Says in our words what undici, Node or OpenSSL could not do. What is no failure of the line passes as it is. */
export function explainFailure(error: unknown, host: string, what: string): unknown {
  if (!(error instanceof Error) || error instanceof LongshoreError) return error
  // What `AbortSignal.timeout` gives has a number for a code.
  const code = error.name === 'TimeoutError' ? 'TIMEOUT' : codeOf(error)
  if (code === undefined) return error
  const proxy = proxyFailureOf(error)
  if (proxy !== undefined) return explainProxy(proxy, { code, host, what })
  const at = { host, cause: error }
  if (/TIMEOUT|ETIMEDOUT/.test(code)) {
    return new RemoteError('timeout', `cannot ${what}: ${host} did not answer in time (${code})`, {
      ...at,
      retryable: true,
    })
  }
  if (tlsCodes.test(code)) return explainTls(error, { code, host, what })
  if (notHttp.has(code)) {
    return new RemoteError('protocol', `cannot ${what}: ${host} does not speak HTTP properly: ${error.message}`, at)
  }
  const had = lost.has(code) ? 'lost the' : 'no'
  const { why, hint } = reasonOf(error, code, host)
  return new RemoteError('network', `cannot ${what}: ${had} connection to ${host}: ${why}`, {
    ...at,
    retryable: true,
    ...(hint === undefined ? {} : { hint }),
  })
}

/** undici puts some errors into others. */
function proxyFailureOf(error: Error): ProxyFailure | undefined {
  return [error, error.cause].find((one) => one instanceof ProxyFailure)
}

function explainProxy(error: ProxyFailure, { code, host, what }: { code: string; host: string; what: string }) {
  const { variable } = error
  const why = error.message.includes(code) ? error.message : `${error.message} (${code})`.trim()
  const message = `cannot ${what}: no connection to the proxy that ${variable} names: ${why}`
  return new RemoteError('network', message, {
    host,
    cause: error,
    retryable: !tlsCodes.test(code),
    hint: `Check host and port in ${variable} (${exampleProxy}), or unset it. For ${host} alone, name that in NO_PROXY.`,
  })
}

function explainTls(error: Error, { code, host, what }: { code: string; host: string; what: string }): RemoteError {
  const isPlain = code === 'EPROTO' || code.includes('WRONG_VERSION') || code.includes('PACKET_LENGTH')
  const isOld = code.includes('EXPIRED') || code.includes('NOT_YET')
  // OpenSSL's message has a thread and a place of its own code in it.
  const why = tlsWords[code] ?? (error as { reason?: string }).reason ?? error.message
  return new RemoteError('network', `cannot ${what}: no secure connection to ${host}: ${why} (${code})`, {
    host,
    cause: error,
    hint: isPlain
      ? `If ${host} speaks plain HTTP, set plain_http for it under registries.`
      : isOld
        ? `Renew the certificate of ${host}, or set the clock of this machine.`
        : `If ${host} has a certificate of your own authority, set ca for it under registries.`,
  })
}

function reasonOf(error: Error, code: string, host: string): { why: string; hint: string | undefined } {
  // Undici has no code of its own for it.
  const refused = /^Proxy response \((\d+)\)/.exec(error.message)?.[1]
  if (refused !== undefined) {
    const hint = `See whether the proxy that HTTPS_PROXY names lets us go to ${host}, or name that in NO_PROXY.`
    return { why: `the proxy answered ${refused}`, hint }
  }
  const why = error.message.includes(code) ? error.message : `${error.message} (${code})`.trim()
  return { why, hint: hintFor(code, host) }
}

function hintFor(code: string, host: string): string | undefined {
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return `Check how ${host} is spelled, and that this machine can look it up; behind a proxy, set HTTPS_PROXY.`
  }
  if (code === 'ECONNREFUSED') return `Nothing listens there: check host and port, and that the registry runs.`
  if (code === 'ENETUNREACH' || code === 'EHOSTUNREACH') {
    return `Check that ${host} can be reached from here; behind a proxy, set HTTPS_PROXY.`
  }
  return undefined
}

function codeOf(error: Error): string | undefined {
  const own = (error as { code?: unknown }).code
  if (typeof own === 'string') return own
  // undici gives these no code.
  if (error.name === 'HTTPParserError') return error.name
  // Several addresses were tried.
  if (error instanceof AggregateError)
    return error.errors.map((one) => codeOf(one as Error)).find((code) => code !== undefined)
  return error.cause instanceof Error ? codeOf(error.cause) : undefined
}
