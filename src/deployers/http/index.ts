import { send, textBody, type Body } from '../../clients/http/request.ts'
import { FinalError, RemoteError } from '../../lib/errors.ts'
import { fill } from '../../lib/template.ts'
import type { Deploy, Deployer, DeployerContext } from '../deployer.ts'
import { servedLayer } from '../served.ts'
import { textsOf } from '../values.ts'
import type { HttpDeployerConfig, httpWords } from './schema.ts'

export function createDeployer(config: HttpDeployerConfig, context: DeployerContext): Deployer {
  return new HttpDeployer(config, context)
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
    const { url, method, giveUp } = this.#config
    const body = await this.#body(what, signal)
    const headers = await this.#headers(what, body)
    const outgoing = { url: filled(url, what, encodeURIComponent), method, headers, body }
    const { redactor } = this.#context
    const say = (answer: string) => what.say(`${method} to ${this.name} as ${what.idempotencyKey}: ${answer}`)
    await what.check()
    try {
      say(String(await send(outgoing, this.#config, { redactor, signal })))
    } catch (error) {
      if (!(error instanceof RemoteError) || error.status === undefined) throw error
      say(String(error.status))
      throw giveUp.includes(error.status) ? new FinalError(error.message, { cause: error }) : error
    }
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
    const all = new Map(Object.entries({ 'content-type': body.type, 'user-agent': 'longshore' }))
    for (const [name, value] of Object.entries(await textsOf(this.#config.headers))) all.set(name.toLowerCase(), value)
    return Object.fromEntries(all.set('idempotency-key', what.idempotencyKey))
  }
}

function eventOf({ release, place, origin, isForced, idempotencyKey }: Deploy): Record<string, unknown> {
  const { bundle, number, version, manifestDigest: digest, sourceDigest, bundleDigest } = release
  const about = { bundle, place, release: number, repository: origin, version, digest, sourceDigest, bundleDigest }
  return { ...about, key: idempotencyKey, forced: isForced }
}

function filled(template: string, { release, place, origin }: Deploy, write: (text: string) => string): string {
  const { bundle, number, version, manifestDigest: digest } = release
  const words: Record<(typeof httpWords)[number], string> = {
    ...{ bundle, place, release: String(number), repository: origin, version, digest },
  }
  return fill(template, Object.fromEntries(Object.entries(words).map(([word, text]) => [word, write(text)])))
}
