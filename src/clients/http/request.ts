import { Readable } from 'node:stream'
import { Agent, request } from 'undici'
import { LongshoreError, RemoteError } from '../../lib/errors.ts'
import type { Redactor } from '../../lib/redact.ts'
import type { Secret } from '../../lib/secret.ts'
import { sign } from '../../lib/signature.ts'
import { formatDuration } from '../../lib/units.ts'
import { refusalOf } from './refusal.ts'
import { reasonOf, secure, type TlsFiles } from './secure.ts'

export interface Body {
  type: string
  /** Bytes. */
  size: number
  /** May be called twice: for the signature, and to be sent. */
  open(): AsyncIterable<Uint8Array>
}

/** What the config says of a server that is sent something. */
export interface Server extends TlsFiles {
  /** How long all of it may take. */
  timeoutMs: number
  /** Signs the body. */
  hmac?: { secret: Secret; header: string } | undefined
  /** Statuses that mean that it is done; unless said, 200 to 299. */
  success?: readonly number[] | undefined
}

export interface Outgoing {
  url: string
  method: 'POST' | 'PUT' | 'PATCH'
  headers: Readonly<Record<string, string>>
  body: Body
}

interface Parts {
  redactor: Pick<Redactor, 'redact'>
  signal: AbortSignal
}

/**
 * One request, on a connection of its own. No redirect is followed: what is sent is meant for this server. Throws RemoteError, which names
 * the host and nothing else of the URL: the rest may be what lets one in.
 Returns the status.
 */
export async function send(outgoing: Outgoing, server: Server, { redactor, signal }: Parts): Promise<number> {
  signal.throwIfAborted()
  const { host } = new URL(outgoing.url)
  const failed = (code: 'timeout' | 'network', why: string) =>
    new RemoteError(code, `${host} ${why}`, { host, retryable: true })
  const late = AbortSignal.timeout(server.timeoutMs)
  const agent = new Agent({ connect: await secure(server), allowH2: false, headersTimeout: 0, bodyTimeout: 0 })
  try {
    return await exchange(outgoing, server, { agent, redactor, signal: AbortSignal.any([signal, late]) })
  } catch (error) {
    signal.throwIfAborted()
    if (late.aborted) throw failed('timeout', `took longer than ${formatDuration(server.timeoutMs)}`)
    if (error instanceof LongshoreError) throw error
    throw failed('network', `cannot be reached: ${redactor.redact(reasonOf(error))}`)
  } finally {
    await agent.destroy()
  }
}

async function exchange(
  { url, method, headers, body }: Outgoing,
  { hmac, success }: Server,
  { agent, redactor, signal }: Parts & { agent: Agent },
): Promise<number> {
  const signature = hmac && {
    [hmac.header.toLowerCase()]: `sha256=${await sign(await hmac.secret.read(), body.open())}`,
  }
  let unreadable: unknown
  const content = Readable.from(body.open()).once('error', (error) => (unreadable = error))
  const answer = await request(url, {
    ...{ method, body: content, dispatcher: agent, signal },
    headers: { ...headers, 'content-length': String(body.size), ...signature },
  }).catch((error: unknown) => {
    throw unreadable ?? error
  })
  const isDone = success?.includes(answer.statusCode) ?? Math.floor(answer.statusCode / 100) === 2
  if (!isDone) throw await refusalOf(new URL(url).host, answer, redactor)
  // Its words do not matter, nor whether they come.
  await answer.body.dump({ limit: 64 * 1024, signal }).catch(() => undefined)
  return answer.statusCode
}

export function textBody(type: string, text: string): Body {
  const bytes = Buffer.from(text)
  return { type, size: bytes.length, open: () => Readable.from([bytes]) }
}
