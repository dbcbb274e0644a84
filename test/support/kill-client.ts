import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { Agent, request, type Dispatcher } from 'undici'
import { blockBytes, encodeHeader } from '../../src/artifact/tar-header.ts'
import { digestOf, type Digest } from '../../src/oci/digest.ts'

/** Somebody who pushes by hand, one request at a time, and can say at any moment which one is under way. */
export interface Client {
  /** What it is doing now. */
  readonly step: string
  /** How many were begun. */
  readonly requests: number
  /** One was begun, and nothing was heard of it. */
  readonly isUnderWay: boolean
  send(what: string, request: Call): Promise<Answer>
}

export interface Call {
  method: Dispatcher.HttpMethod
  path: string
  headers?: Record<string, string>
  body?: Buffer
}

export interface Answer {
  status: number
  header(name: string): string
  bytes: Buffer
}

export const manifestType = 'application/vnd.oci.image.manifest.v1+json'
export const indexType = 'application/vnd.oci.image.index.v1+json'
export const emptyConfig = Buffer.from('{}')
const pieceBytes = 16 * 1024

/** Throws on an answer other than 2xx. */
export function createClient(url: string): Client {
  const agent = new Agent({ connections: 1, pipelining: 1, bodyTimeout: 60_000, headersTimeout: 60_000 })
  let step = 'nothing'
  let requests = 0
  let isUnderWay = false
  return {
    get step() {
      return step
    },
    get requests() {
      return requests
    },
    get isUnderWay() {
      return isUnderWay
    },
    async send(what, { method, path, headers = {}, body }) {
      step = what
      requests++
      isUnderWay = true
      const length: Record<string, string> = body === undefined ? {} : { 'content-length': String(body.length) }
      const answer = await request(new URL(path, url), {
        ...{ method, dispatcher: agent, headers: { ...length, ...headers } },
        body: body === undefined ? null : Readable.from(inPieces(body)),
      }).finally(() => (isUnderWay = false))
      const bytes = Buffer.from(await answer.body.arrayBuffer())
      if (answer.statusCode >= 300) {
        throw new UnexpectedAnswer(`${what}: ${answer.statusCode} ${bytes.toString().slice(0, 500)}`, answer.statusCode)
      }
      step = `after ${what}`
      return { status: answer.statusCode, header: (name) => headerOf(answer.headers[name]), bytes }
    },
  }
}

export class UnexpectedAnswer extends Error {
  readonly status: number

  constructor(message: string, status: number) {
    super(message)
    this.status = status
  }
}

function headerOf(value: string | string[] | undefined): string {
  return Array.isArray(value) ? value.join(', ') : (value ?? '')
}

/** So that a kill comes in the middle of a body, too. */
async function* inPieces(body: Buffer): AsyncIterable<Buffer> {
  for (let at = 0; at < body.length; at += pieceBytes) {
    yield body.subarray(at, at + pieceBytes)
    await new Promise(setImmediate)
  }
}

export interface Artifact {
  digest: Digest
  mediaType: string
  bytes: Buffer
  blobs: { digest: Digest; bytes: Buffer }[]
}

/** A manifest of these layers, and its blobs. */
export function artifactOf(layers: readonly Buffer[], layerType: string, configType: string): Artifact {
  const described = (bytes: Buffer, mediaType: string) => ({ mediaType, digest: digestOf(bytes), size: bytes.length })
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: described(emptyConfig, configType),
      layers: layers.map((layer) => described(layer, layerType)),
    }),
  )
  const blobs = [emptyConfig, ...layers].map((blob) => ({ digest: digestOf(blob), bytes: blob }))
  return { digest: digestOf(bytes), mediaType: manifestType, bytes, blobs }
}

/** A bundle that OPA loads, as `opa build` and oras would push it. */
export function policyArtifact(name: string, version: string, filler: Buffer): Artifact {
  const files = {
    '.manifest': JSON.stringify({ revision: version, roots: [name] }),
    [`${name}/data.json`]: JSON.stringify({ filler: filler.toString('base64') }),
    [`${name}/policy.rego`]: `package ${name}.rules\n\nversion := "${version}"\n`,
  }
  const tar = Object.entries(files).flatMap(([path, text]) => {
    const bytes = Buffer.from(text)
    const padding = Buffer.alloc((blockBytes - (bytes.length % blockBytes)) % blockBytes)
    return [encodeHeader({ name: path, mode: 0o644, size: bytes.length, type: '0' }), bytes, padding]
  })
  const layer = gzipSync(Buffer.concat([...tar, Buffer.alloc(2 * blockBytes)]), { level: 1 })
  return artifactOf(
    [layer],
    'application/vnd.oci.image.layer.v1.tar+gzip',
    'application/vnd.openpolicyagent.config.v1+json',
  )
}
