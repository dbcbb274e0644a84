import { createHmac } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import tls from 'node:tls'
import { Agent, request } from 'undici'
import { ConfigError, FinalError, LongshoreError, RemoteError } from '../../lib/errors.ts'
import { formatDuration } from '../../lib/units.ts'
import type { Deploy, Deployer, DeployerContext } from '../deployer.ts'
import { servedLayer } from '../served.ts'
import { textsOf } from '../values.ts'
import { refusalOf } from './refusal.ts'
import type { HttpDeployerConfig } from './schema.ts'

export function createDeployer(config: HttpDeployerConfig, context: DeployerContext): Deployer {
  return new HttpDeployer(config, context)
}

interface Body {
  type: string
  /** Bytes. */
  size: number
  /** May be called twice: for the signature, and to be sent. */
  open(): AsyncIterable<Uint8Array>
}

/** A server that is told of each release, or sent it, again with the same key until it says that all is well. */
class HttpDeployer implements Deployer {
  /** The rest of a URL may be what lets one in. */
  readonly name: string
  readonly address: string
  readonly #config: HttpDeployerConfig
  readonly #context: DeployerContext

  constructor(config: HttpDeployerConfig, context: DeployerContext) {
    this.name = new URL(config.url).host
    this.address = `${this.name}/`
    this.#config = config
    this.#context = context
  }

  /** What is there is for the server to know. */
  observe(): Promise<undefined> {
    return Promise.resolve(undefined)
  }

  async deploy(what: Deploy, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const late = AbortSignal.timeout(this.#config.timeoutMs)
    const stopped = AbortSignal.any([signal, late])
    const agent = new Agent({ connect: await this.#secure(), allowH2: false, headersTimeout: 0, bodyTimeout: 0 })
    try {
      await this.#send(what, agent, stopped)
    } catch (error) {
      signal.throwIfAborted()
      if (late.aborted) throw this.#failed('timeout', `took longer than ${formatDuration(this.#config.timeoutMs)}`)
      if (error instanceof LongshoreError) throw error
      throw this.#failed('network', `cannot be reached: ${this.#context.redactor.redact(reasonOf(error))}`)
    } finally {
      await agent.destroy()
    }
  }

  async #send(what: Deploy, dispatcher: Agent, signal: AbortSignal): Promise<void> {
    const { url, method, success, giveUp } = this.#config
    const body = await this.#body(what, signal)
    const headers = await this.#headers(what, body)
    let unreadable: unknown
    const content = Readable.from(body.open()).once('error', (error) => (unreadable = error))
    // No redirect is followed: what is sent is meant for this server.
    const answer = await request(filled(url, what, encodeURIComponent), {
      ...{ method, headers, body: content, dispatcher, signal },
    }).catch((error: unknown) => {
      throw unreadable ?? error
    })
    const isDone =
      success === undefined ? Math.floor(answer.statusCode / 100) === 2 : success.includes(answer.statusCode)
    what.say(`${method} to ${this.name} as ${what.idempotencyKey}: ${answer.statusCode}`)
    if (!isDone) {
      const refusal = await refusalOf(this.name, answer, this.#context.redactor)
      throw giveUp.includes(answer.statusCode) ? new FinalError(refusal.message, { cause: refusal }) : refusal
    }
    what.say(`${method} to ${this.name}: ${answer.statusCode}`)
    // Its words do not matter, nor whether they come.
    await answer.body.dump({ limit: 64 * 1024, signal }).catch(() => undefined)
  }

  async #body(what: Deploy, signal: AbortSignal): Promise<Body> {
    const { body } = this.#config
    if (body === 'bundle') {
      const layer = await servedLayer(what, signal)
      return { type: 'application/gzip', size: layer.size, open: () => what.source.blob(layer, signal) }
    }
    if (body === 'event') return textBody('application/json', JSON.stringify(eventOf(what)))
    return textBody('text/plain; charset=utf-8', filled(body.text, what, String))
  }

  async #headers(what: Deploy, body: Body): Promise<Record<string, string>> {
    const { headers, hmac } = this.#config
    const all = new Map(Object.entries({ 'content-type': body.type, 'user-agent': 'longshore' }))
    for (const [name, value] of Object.entries(await textsOf(headers))) all.set(name.toLowerCase(), value)
    all.set('content-length', String(body.size)).set('idempotency-key', what.idempotencyKey)
    if (hmac !== undefined) {
      const signature = createHmac('sha256', await hmac.secret.read())
      for await (const chunk of body.open()) signature.update(chunk)
      all.set(hmac.header.toLowerCase(), `sha256=${signature.digest('hex')}`)
    }
    return Object.fromEntries(all)
  }

  /** Read at each use: certificates are renewed. Node replaces its roots by what is given, so that holds them. */
  async #secure(): Promise<tls.SecureContextOptions> {
    const [ca, cert, key] = await Promise.all([this.#config.ca, this.#config.cert, this.#config.key].map(readPem))
    return {
      ...(ca !== undefined && { ca: [...tls.getCACertificates('default'), ca] }),
      ...(cert !== undefined && key !== undefined && { cert, key }),
    }
  }

  #failed(code: 'timeout' | 'network', why: string): RemoteError {
    return new RemoteError(code, `${this.name} ${why}`, { host: this.name, retryable: true })
  }
}

function textBody(type: string, text: string): Body {
  const bytes = Buffer.from(text)
  return { type, size: bytes.length, open: () => Readable.from([bytes]) }
}

function eventOf({ release, place, isForced, idempotencyKey }: Deploy): Record<string, unknown> {
  const { bundle, number, version, manifestDigest: digest, sourceDigest, bundleDigest } = release
  const about = { bundle, place, release: number, version, digest, sourceDigest, bundleDigest }
  return { ...about, key: idempotencyKey, forced: isForced }
}

function filled(template: string, { release, place }: Deploy, write: (text: string) => string): string {
  const { bundle, number, version, manifestDigest: digest } = release
  const words: Record<string, string> = { bundle, place, release: String(number), version, digest }
  return template.replace(/\{(bundle|place|release|version|digest)\}/g, (_all, word: string) => write(words[word]!))
}

async function readPem(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new ConfigError(`cannot read the certificate or key ${path}: ${error.code ?? error.message}`, {
      cause: error,
    })
  })
}

/** Where a name has several addresses, each has failed in its own way. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ')
  return error instanceof Error ? error.message : String(error)
}
