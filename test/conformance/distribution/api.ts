import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { digestOf, type Algorithm, type Digest } from '../../../src/oci/digest.ts'
import { ociConfig, ociIndex, ociLayerTarGzip, ociManifest } from '../../../src/oci/media.ts'
import type { Descriptor } from '../../../src/oci/target.ts'

/** A registry to be measured. */
export interface Target {
  url: string
  headers?: Record<string, string>
  /** Makes this much time pass at the registry, where that is possible. */
  letTimePass?(ms: number): Promise<void>
}

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
}

interface SendOptions {
  headers?: Record<string, string>
  body?: Uint8Array | string
  /** Without Content-Length, in HTTP's own chunks. */
  streamed?: boolean
}

export interface Pushed {
  bytes: Buffer
  digest: Digest
  mediaType: string
  descriptor: Descriptor
}

interface BlobOptions {
  repository?: string
  algorithm?: Algorithm
  mediaType?: string
}

interface ManifestOptions extends BlobOptions {
  /** The digest unless said. */
  reference?: string
  query?: string
}

/** Requests as they stand, nothing normalized: what a client library would smooth over is what is looked for. */
export class Api {
  readonly target: Target
  /** Two repositories that nothing else uses. */
  readonly repository = `conformance/${randomUUID()}`
  readonly other = `conformance/${randomUUID()}`

  constructor(target: Target) {
    this.target = target
  }

  send(method: string, path: string, { headers = {}, body, streamed = false }: SendOptions = {}): Promise<Answer> {
    // What a registry answers may be absolute.
    const url = new URL(this.target.url)
    const target = path.startsWith('http') ? new URL(path) : url
    const length = body === undefined || streamed ? {} : { 'Content-Length': String(Buffer.byteLength(body)) }
    return new Promise((resolve, reject) => {
      const request = httpRequest(
        {
          host: target.hostname,
          port: target.port,
          method,
          path: path.startsWith('http') ? target.pathname + target.search : path,
          headers: { ...this.target.headers, ...length, ...headers },
        },
        (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.once('error', reject)
          response.once('end', () => {
            resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks) })
          })
        },
      )
      request.once('error', reject)
      // Given with `end`, its length would be said.
      if (streamed && body !== undefined) request.write(body)
      request.end(streamed ? undefined : body)
    })
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.send('GET', path, { headers })
  }

  head(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.send('HEAD', path, { headers })
  }

  delete(path: string): Promise<Answer> {
    return this.send('DELETE', path)
  }

  manifestPath(reference: string, repository = this.repository): string {
    return `/v2/${repository}/manifests/${reference}`
  }

  blobPath(digest: string, repository = this.repository): string {
    return `/v2/${repository}/blobs/${digest}`
  }

  /** Asks for what registries hold, as clients do. */
  getManifest(reference: string, repository = this.repository): Promise<Answer> {
    return this.get(this.manifestPath(reference, repository), { Accept: `${ociIndex}, ${ociManifest}` })
  }

  headManifest(reference: string, repository = this.repository): Promise<Answer> {
    return this.head(this.manifestPath(reference, repository), { Accept: `${ociIndex}, ${ociManifest}` })
  }

  /** A session's location. */
  async startUpload(query = '', repository = this.repository): Promise<string> {
    const answer = await this.send('POST', `/v2/${repository}/blobs/uploads/${query}`, { body: '' })
    assert.equal(answer.status, 202, `starting an upload: ${describe(answer)}`)
    return locationOf(answer)
  }

  patch(location: string, body: Uint8Array, range?: string): Promise<Answer> {
    const headers = {
      'Content-Type': 'application/octet-stream',
      ...(range !== undefined && { 'Content-Range': range }),
    }
    return this.send('PATCH', location, { headers, body })
  }

  finish(location: string, digest: string, body: Uint8Array | string = '', range?: string): Promise<Answer> {
    const headers = {
      'Content-Type': 'application/octet-stream',
      ...(range !== undefined && { 'Content-Range': range }),
    }
    return this.send('PUT', withQuery(location, `digest=${digest}`), { headers, body })
  }

  async pushBlob(
    bytes: Uint8Array,
    { repository = this.repository, algorithm = 'sha256', mediaType = 'application/octet-stream' }: BlobOptions = {},
  ): Promise<Pushed> {
    const digest = digestOf(bytes, algorithm)
    const query = algorithm === 'sha256' ? '' : `?digest-algorithm=${algorithm}`
    const answer = await this.finish(await this.startUpload(query, repository), digest, bytes)
    assert.equal(answer.status, 201, `pushing a blob: ${describe(answer)}`)
    return pushed(Buffer.from(bytes), mediaType, algorithm)
  }

  async putManifest(
    manifest: unknown,
    {
      reference,
      repository = this.repository,
      mediaType = ociManifest,
      algorithm = 'sha256',
      query = '',
    }: ManifestOptions = {},
  ): Promise<Pushed & { answer: Answer }> {
    const bytes = Buffer.isBuffer(manifest) ? manifest : Buffer.from(JSON.stringify(manifest))
    const what = pushed(bytes, mediaType, algorithm)
    const answer = await this.send('PUT', this.manifestPath(reference ?? what.digest, repository) + query, {
      headers: { 'Content-Type': mediaType },
      body: bytes,
    })
    return { ...what, answer }
  }

  async pushManifest(...args: Parameters<Api['putManifest']>): Promise<Pushed & { answer: Answer }> {
    const result = await this.putManifest(...args)
    assert.equal(result.answer.status, 201, `pushing a manifest: ${describe(result.answer)}`)
    return result
  }

  /** An image with a config and a layer of its own, its blobs pushed. */
  async image(
    extra: Record<string, unknown> = {},
    { repository = this.repository, algorithm = 'sha256' }: BlobOptions = {},
  ): Promise<Record<string, unknown> & { config: Descriptor; layers: Descriptor[] }> {
    const config = await this.pushBlob(Buffer.from(JSON.stringify({ random: randomUUID() })), {
      repository,
      algorithm,
      mediaType: ociConfig,
    })
    const layer = await this.pushBlob(randomBytes(512), { repository, algorithm, mediaType: ociLayerTarGzip })
    return {
      schemaVersion: 2,
      mediaType: ociManifest,
      config: config.descriptor,
      layers: [layer.descriptor],
      ...extra,
    }
  }

  async pushImage(
    reference?: string,
    extra: Record<string, unknown> = {},
    repository = this.repository,
  ): Promise<Pushed & { answer: Answer }> {
    const image = await this.image(extra, { repository })
    return this.pushManifest(image, { repository, ...(reference !== undefined && { reference }) })
  }

  async pushIndex(
    manifests: Descriptor[],
    reference?: string,
    extra: Record<string, unknown> = {},
  ): Promise<Pushed & { answer: Answer }> {
    const index = { schemaVersion: 2, mediaType: ociIndex, manifests, ...extra }
    return this.pushManifest(index, { mediaType: ociIndex, ...(reference !== undefined && { reference }) })
  }
}

function pushed(bytes: Buffer, mediaType: string, algorithm: Algorithm): Pushed {
  const digest = digestOf(bytes, algorithm)
  return { bytes, digest, mediaType, descriptor: { mediaType, digest, size: bytes.length } }
}

export function locationOf(answer: Answer): string {
  assert.ok(answer.headers.location, `no Location: ${describe(answer)}`)
  return answer.headers.location
}

export function withQuery(location: string, query: string): string {
  return `${location}${location.includes('?') ? '&' : '?'}${query}`
}

export function describe(answer: Answer): string {
  return `${answer.status} ${answer.body.toString('utf8').slice(0, 300)}`
}

export function expectStatus(answer: Answer, ...statuses: number[]): void {
  assert.ok(statuses.includes(answer.status), `expected ${statuses.join(' or ')}, got ${describe(answer)}`)
}

export function expectBytes(answer: Answer, bytes: Uint8Array): void {
  expectStatus(answer, 200)
  assert.ok(answer.body.equals(bytes), 'the bytes are not those that were pushed')
}

export function jsonOf(answer: Answer): Record<string, unknown> {
  return JSON.parse(answer.body.toString('utf8')) as Record<string, unknown>
}

/** The codes of an error answer, in the specification's form. */
export function codesOf(answer: Answer): string[] {
  const { errors } = jsonOf(answer) as { errors?: { code: string }[] }
  assert.ok(Array.isArray(errors) && errors.length > 0, `no errors in ${describe(answer)}`)
  return errors.map((error) => error.code)
}
