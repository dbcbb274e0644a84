import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import { digestOf, type Digest } from '../../src/oci/digest.ts'
import { emptyJson, ociConfig, ociIndex, ociLayerTarGzip, ociManifest } from '../../src/oci/media.ts'
import type { Descriptor, RawManifest } from '../../src/oci/target.ts'

/** Which part of a conversation a request belongs to. */
export type Phase =
  | 'ping'
  | 'head' // HEAD of a manifest
  | 'manifest'
  | 'cosign' // HEAD of a signature's tag
  | 'config'
  | 'layer'
  | 'has' // HEAD of a blob
  | 'tags'
  | 'referrers'
  | 'referrers-tag'
  | 'token'
  | 'mount'
  | 'start'
  | 'at-once'
  | 'patch'
  | 'finish'
  | 'status' // GET of an upload
  | 'cancel'
  | 'put-manifest'
  | 'elsewhere' // another origin
  | 'unknown'

export interface HostileRequest {
  phase: Phase
  method: string
  /** Path and query, as sent. */
  url: string
  headers: Record<string, string>
  body: Buffer
}

export interface HostileReply {
  status: number
  headers: Record<string, string | string[]>
  body: Buffer
}

/** What a fault may do instead of answering: it holds the socket. */
export interface Wire {
  request: HostileRequest
  /** How many requests of this phase there were before; 0 for the first. */
  nth: number
  /** The other origin of the same hostile party: `http://127.0.0.1:port`. */
  elsewhere: string
  /** The registry's own: `http://127.0.0.1:port`. */
  origin: string
  /** Head and body as they would be sent. */
  headOf: (reply: HostileReply) => Buffer
  bodyOf: (reply: HostileReply) => Buffer
  /** Resolves when the kernel has the bytes, or the connection is gone. */
  write: (bytes: Uint8Array | string) => Promise<void>
  /** No more bytes, as a server does that dies in an orderly way. */
  fin: () => void
  /** A reset, as a broken line or a killed process gives it. */
  rst: () => void
  isOpen: () => boolean
  /** Lets time pass: of the clock that the test gave, else real time. */
  pause: (ms: number) => Promise<void>
}

/** A changed reply, or nothing when the fault has dealt with the socket itself. */
export type Fault = (
  reply: HostileReply,
  wire: Wire,
) => HostileReply | undefined | void | Promise<HostileReply | undefined | void>

export interface HostileRegistry extends AsyncDisposable {
  /** `127.0.0.1:12345` */
  host: string
  repository: string
  /** `127.0.0.1:12345/acme/policies` */
  name: string
  elsewhere: string
  requests: HostileRequest[]
  /** What the repository honestly holds. */
  manifests: Map<Digest, RawManifest>
  blobs: Map<Digest, Buffer>
  tags: Map<string, Digest>
  /** Requests so far, by phase; none that did not come. */
  counts: () => Partial<Record<Phase, number>>
  forget: () => void
  /** From now on: each answer of the phase, or the first `times` of them. */
  fault: (phase: Phase, fault: Fault, times?: number) => void
  heal: () => void
  openSockets: () => number
}

export interface HostileOptions {
  auth?: 'bearer' | 'basic'
  username?: string
  password?: string
  pass?: (ms: number) => Promise<void>
}

export const hostileToken = 'token-that-nobody-may-see'

/** A registry that is honest but for the faults it is told; it writes every byte itself, on raw sockets. */
export async function hostileRegistry(options: HostileOptions = {}): Promise<HostileRegistry> {
  const state = new Holdings(options)
  const faults = new Map<Phase, { fault: Fault; left: number }>()
  const requests: HostileRequest[] = []
  const sockets = new Set<Socket>()
  const pause = options.pass ?? ((ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms)))
  const origins = { own: '', elsewhere: '' }

  const answer = async (request: HostileRequest, socket: Socket, isOwn: boolean): Promise<void> => {
    const nth = requests.filter(({ phase }) => phase === request.phase).length
    requests.push(request)
    const honest = isOwn ? state.answer(request) : state.blobAt(request)
    const planned = faults.get(request.phase)
    if (planned === undefined || planned.left <= 0) return send(socket, request, honest)
    planned.left -= 1
    const changed = await planned.fault(honest, { ...wireOf(socket, request, nth, origins), pause })
    if (changed !== undefined) await send(socket, request, changed)
  }

  const open = async (isOwn: boolean): Promise<Server> => {
    const server = createServer({ noDelay: true }, (socket) => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
      socket.on('error', () => undefined)
      void converse(socket, isOwn ? phaseOf(state) : () => 'elsewhere', (request) => answer(request, socket, isOwn))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return server
  }

  const servers = [await open(true), await open(false)]
  const [host, other] = servers.map((server) => `127.0.0.1:${(server.address() as AddressInfo).port}`) as [
    string,
    string,
  ]
  origins.own = state.origin = `http://${host}`
  origins.elsewhere = `http://${other}`
  return {
    host,
    repository: state.repository,
    name: `${host}/${state.repository}`,
    elsewhere: origins.elsewhere,
    requests,
    manifests: state.manifests,
    blobs: state.blobs,
    tags: state.tags,
    counts: () =>
      Object.fromEntries([...Map.groupBy(requests, ({ phase }) => phase)].map(([phase, some]) => [phase, some.length])),
    forget: () => void requests.splice(0),
    fault: (phase, fault, times = Infinity) => void faults.set(phase, { fault, left: times }),
    heal: () => faults.clear(),
    openSockets: () => sockets.size,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
    },
  }
}

export interface Artifact {
  manifest: RawManifest
  config: Descriptor
  layer: Descriptor
  /** Of the layer. */
  bytes: Buffer
}

/** Puts an image of one layer, honestly. `more` goes over its manifest, `claimed` over its layer's descriptor. */
export function putArtifact(
  into: Pick<HostileRegistry, 'manifests' | 'blobs' | 'tags'>,
  bytes: Buffer,
  options: { tag?: string; more?: Record<string, unknown>; claimed?: Record<string, unknown> } = {},
): Artifact {
  const config = { mediaType: ociConfig, digest: digestOf(emptyJson), size: emptyJson.length }
  const layer = { mediaType: ociLayerTarGzip, digest: digestOf(bytes), size: bytes.length, ...options.claimed }
  into.blobs.set(config.digest, emptyJson)
  into.blobs.set(digestOf(bytes), bytes)
  const json = { schemaVersion: 2, mediaType: ociManifest, config, layers: [layer], ...options.more }
  return { manifest: putDocument(into, json, options), config, layer, bytes }
}

/** Any document as a manifest, however wrong. */
export function putDocument(
  into: Pick<HostileRegistry, 'manifests' | 'tags'>,
  document: Record<string, unknown> | string,
  { tag = 'latest', mediaType }: { tag?: string; mediaType?: string } = {},
): RawManifest {
  const bytes = Buffer.from(typeof document === 'string' ? document : JSON.stringify(document))
  const stated = typeof document === 'string' ? undefined : document.mediaType
  const type = mediaType ?? (typeof stated === 'string' ? stated : ociManifest)
  const raw = { mediaType: type, digest: digestOf(bytes), bytes }
  into.manifests.set(raw.digest, raw)
  into.tags.set(tag, raw.digest)
  return raw
}

/** The honest half: what a registry of one repository would answer. */
class Holdings {
  readonly repository = 'acme/policies'
  readonly manifests = new Map<Digest, RawManifest>()
  readonly blobs = new Map<Digest, Buffer>()
  readonly tags = new Map<string, Digest>()
  origin = ''
  readonly #options: HostileOptions
  readonly #uploads = new Map<string, Buffer>()
  #nextUpload = 1

  constructor(options: HostileOptions) {
    this.#options = options
  }

  answer(request: HostileRequest): HostileReply {
    if (request.phase === 'token') return this.#token(request)
    const { authorization } = request.headers
    const { auth } = this.#options
    if (auth === 'basic' && authorization !== this.#basic())
      return refuse(401, { 'www-authenticate': 'Basic realm="x"' })
    if (auth === 'bearer' && authorization !== `Bearer ${hostileToken}`) {
      const challenge = `Bearer realm="${this.origin}/token",service="hostile",scope="repository:${this.repository}:pull"`
      return refuse(401, { 'www-authenticate': challenge })
    }
    const path = request.url.split('?', 1)[0]!
    if (path === '/v2/') return reply(200, {}, '{}')
    const rest = path.slice(`/v2/${this.repository}/`.length)
    if (rest.startsWith('manifests/')) return this.#manifest(request, rest.slice('manifests/'.length))
    if (rest.startsWith('blobs/uploads/')) return this.#upload(request, rest.slice('blobs/uploads/'.length))
    if (rest.startsWith('blobs/')) return this.blobAt(request)
    if (rest.startsWith('tags/')) return json({ name: this.repository, tags: [...this.tags.keys()].sort() })
    if (rest.startsWith('referrers/')) return this.#referrers(rest.slice('referrers/'.length))
    return refuse(404)
  }

  blobAt({ url, headers }: HostileRequest): HostileReply {
    const digest = /sha256:[0-9a-f]{64}/.exec(url)?.[0] as Digest | undefined
    const bytes = digest && this.blobs.get(digest)
    if (digest === undefined || bytes === undefined) return refuse(404)
    const about = { 'content-type': 'application/octet-stream', 'docker-content-digest': digest }
    const from = /^bytes=(\d+)-/.exec(headers.range ?? '')?.[1]
    if (from === undefined) return reply(200, about, bytes)
    const range = { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` }
    return reply(206, { ...about, ...range }, bytes.subarray(Number(from)))
  }

  isConfig(digest: string): boolean {
    return digest === digestOf(emptyJson)
  }

  #basic(): string {
    const { username = '', password = '' } = this.#options
    return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
  }

  #token({ headers }: HostileRequest): HostileReply {
    if (headers.authorization !== undefined && headers.authorization !== this.#basic()) return refuse(401)
    return json({ token: hostileToken, expires_in: 300 })
  }

  #manifest({ method, body, headers }: HostileRequest, reference: string): HostileReply {
    if (method === 'PUT') {
      const digest = digestOf(body)
      this.manifests.set(digest, { mediaType: headers['content-type'] ?? '', digest, bytes: body })
      if (!reference.includes(':')) this.tags.set(reference, digest)
      return reply(201, { 'docker-content-digest': digest, 'oci-subject': 'sha256:0' })
    }
    const raw = this.manifests.get((this.tags.get(reference) ?? reference) as Digest)
    if (raw === undefined) return refuse(404)
    return reply(200, { 'content-type': raw.mediaType, 'docker-content-digest': raw.digest }, Buffer.from(raw.bytes))
  }

  #referrers(subject: string): HostileReply {
    const manifests = [...this.manifests.values()]
      .filter(({ bytes }) => subjectOf(bytes) === subject)
      .map(({ mediaType, digest, bytes }) => ({ mediaType, digest, size: bytes.length }))
    return json({ schemaVersion: 2, mediaType: ociIndex, manifests }, ociIndex)
  }

  #upload({ method, url, body }: HostileRequest, id: string): HostileReply {
    const query = new URL(url, 'http://x').searchParams
    const at = (next: string) => ({ location: `/v2/${this.repository}/blobs/uploads/${next}` })
    if (method === 'POST') {
      const mounted = query.get('mount') as Digest | null
      if (mounted !== null && this.blobs.has(mounted)) return reply(201, { 'docker-content-digest': mounted })
      const fresh = String(this.#nextUpload++)
      this.#uploads.set(fresh, Buffer.alloc(0))
      return reply(202, at(fresh))
    }
    const sofar = this.#uploads.get(id)
    if (sofar === undefined) return refuse(404)
    if (method === 'DELETE') {
      this.#uploads.delete(id)
      return reply(204)
    }
    const bytes = Buffer.concat([sofar, body])
    this.#uploads.set(id, bytes)
    if (method !== 'PUT') {
      return reply(method === 'GET' ? 204 : 202, { ...at(id), range: `0-${Math.max(0, bytes.length - 1)}` })
    }
    const digest = digestOf(bytes)
    if (digest !== query.get('digest')) return refuse(400)
    this.blobs.set(digest, bytes)
    return reply(201, { 'docker-content-digest': digest })
  }
}

export function reply(
  status: number,
  headers: Record<string, string | string[]> = {},
  body: string | Buffer = '',
): HostileReply {
  return { status, headers, body: Buffer.from(body) }
}

export function json(value: unknown, type = 'application/json'): HostileReply {
  return reply(200, { 'content-type': type }, JSON.stringify(value))
}

function refuse(status: number, headers: Record<string, string> = {}): HostileReply {
  const body = JSON.stringify({ errors: [{ code: 'REFUSED', message: 'no' }] })
  return reply(status, { 'content-type': 'application/json', ...headers }, body)
}

function subjectOf(bytes: Uint8Array): string | undefined {
  try {
    return (JSON.parse(Buffer.from(bytes).toString()) as { subject?: { digest?: string } }).subject?.digest
  } catch {
    return undefined
  }
}

type Classify = (request: Omit<HostileRequest, 'phase'>) => Phase

function phaseOf(state: Holdings): Classify {
  return ({ method, url }) => {
    const [path = '', query = ''] = url.split('?')
    if (path.startsWith('/token')) return 'token'
    if (path === '/v2/') return 'ping'
    const rest = path.slice(`/v2/${state.repository}/`.length)
    if (rest.startsWith('tags/')) return 'tags'
    if (rest.startsWith('referrers/')) return 'referrers'
    if (rest.startsWith('blobs/uploads/')) return uploadPhase(method, query)
    if (rest.startsWith('manifests/')) return manifestPhase(method, rest.slice('manifests/'.length))
    if (!rest.startsWith('blobs/')) return 'unknown'
    if (method === 'HEAD') return 'has'
    return state.isConfig(rest.slice('blobs/'.length)) ? 'config' : 'layer'
  }
}

function uploadPhase(method: string, query: string): Phase {
  const phases: Record<string, Phase> = { PATCH: 'patch', PUT: 'finish', GET: 'status', DELETE: 'cancel' }
  return phases[method] ?? (query.includes('mount=') ? 'mount' : query.includes('digest=') ? 'at-once' : 'start')
}

function manifestPhase(method: string, reference: string): Phase {
  if (method === 'PUT') return 'put-manifest'
  if (/^sha(256|512)-/.test(reference)) return reference.includes('.') ? 'cosign' : 'referrers-tag'
  return method === 'HEAD' ? 'head' : 'manifest'
}

/** One request after the other, each answered before the next is read. */
async function converse(
  socket: Socket,
  classify: Classify,
  answer: (request: HostileRequest) => Promise<void>,
): Promise<void> {
  let held = Buffer.alloc(0)
  try {
    for await (const chunk of socket) {
      held = Buffer.concat([held, chunk as Buffer])
      for (;;) {
        const end = held.indexOf('\r\n\r\n')
        if (end === -1) break
        const [first = '', ...lines] = held.toString('latin1', 0, end).split('\r\n')
        const headers = Object.fromEntries(
          lines.map((line) => [
            line.slice(0, line.indexOf(':')).toLowerCase(),
            line.slice(line.indexOf(':') + 1).trim(),
          ]),
        )
        const bodyEnd = end + 4 + Number(headers['content-length'] ?? 0)
        if (held.length < bodyEnd) break
        const [method = '', url = ''] = first.split(' ')
        const request = { method, url, headers, body: Buffer.from(held.subarray(end + 4, bodyEnd)) }
        held = held.subarray(bodyEnd)
        await answer({ ...request, phase: classify(request) })
      }
    }
  } catch {
    // The client went away, or the fault took the socket down.
  }
}

function wireOf(
  socket: Socket,
  request: HostileRequest,
  nth: number,
  { own, elsewhere }: { own: string; elsewhere: string },
): Omit<Wire, 'pause'> {
  return {
    request,
    nth,
    elsewhere,
    origin: own,
    headOf: (given) => headOf(given),
    bodyOf: (given) => (request.method === 'HEAD' ? Buffer.alloc(0) : given.body),
    write: (bytes) => write(socket, bytes),
    fin: () => void socket.end(),
    rst: () => void socket.resetAndDestroy(),
    isOpen: () => !socket.destroyed && socket.writable,
  }
}

async function send(socket: Socket, { method }: HostileRequest, given: HostileReply): Promise<void> {
  const bodyless = method === 'HEAD' || given.status === 204 || given.status === 304
  await write(socket, Buffer.concat([headOf(given), bodyless ? Buffer.alloc(0) : given.body]))
}

/** A Content-Length only where neither it nor Transfer-Encoding was set; one that is set to nothing is left out. */
function headOf({ status, headers, body }: HostileReply): Buffer {
  const own = 'content-length' in headers || 'transfer-encoding' in headers || status === 204
  const all = own ? headers : { ...headers, 'content-length': String(body.length) }
  const lines = Object.entries(all).flatMap(([name, value]) =>
    [value]
      .flat()
      .filter((one) => one !== '')
      .map((one) => `${name}: ${one}\r\n`),
  )
  return Buffer.from(`HTTP/1.1 ${status} Whatever\r\n${lines.join('')}\r\n`, 'latin1')
}

function write(socket: Socket, bytes: Uint8Array | string): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed || !socket.writable) resolve()
    else {
      // A socket that is gone calls this too, with an error.
      socket.write(bytes, () => resolve())
    }
  })
}
