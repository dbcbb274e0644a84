import { createWriteStream, mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { defaultLimits } from '../../src/artifact/limits.ts'
import type { Assembler } from '../../src/artifact/assemble.ts'
import { packPush, type Push } from '../../src/artifact/push.ts'
import type { Assembled, BlobFiles } from '../../src/artifact/types.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { Redactor } from '../../src/lib/redact.ts'
import type { BundleKind } from '../../src/model/release.ts'
import { createOciClient } from '../../src/oci/client.ts'
import { parseManifest, type ImageManifest } from '../../src/oci/manifest.ts'
import type { Sink, Source } from '../../src/oci/target.ts'
import { component } from '../support/components.ts'
import { execOk } from '../support/exec.ts'
import type { OpaVersion } from '../support/opa.ts'
import { tempDir } from '../support/temp.ts'

/** Writes files below a new folder: path → content. */
export function folder(files: Record<string, string>): string {
  const path = tempDir('folder')
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true })
    writeFileSync(join(path, name), content)
  }
  return path
}

export function openRepository(host: string, repository: string): Sink & { close(): Promise<void> } {
  const client = createOciClient({
    clock: systemClock,
    random: Math.random,
    logger: silentLogger,
    redactor: new Redactor(),
    registries: { [host]: { plainHttp: true } },
  })
  return Object.assign(client.repository(`${host}/${repository}`), { close: () => client.close() })
}

/** As `longshore push` does. */
export async function push(host: string, repository: string, tag: string, paths: string[]): Promise<void> {
  const to = openRepository(host, repository)
  const packed = await packPush(paths)
  for (const { descriptor, open } of packed.blobs) await to.putBlob(descriptor, open)
  await to.putManifest(packed.manifest, [tag])
  await packed.close()
  await to.close()
}

/** Fetches what the tag stands for and assembles it. */
export async function assembleFrom(
  assembler: Assembler,
  host: string,
  repository: string,
  tag: string,
  kind: BundleKind = 'opa',
): Promise<Assembled & { path: string }> {
  const from = openRepository(host, repository)
  const manifest = await from.manifest(tag)
  const blobs = blobsOf(from, parseManifest(manifest) as ImageManifest)
  const assembled = await assembler.assemble(manifest, blobs, {
    kind,
    limits: defaultLimits,
    scratch: tempDir('scratch'),
    opaPath: component('opa-1.22.0'),
  })
  const path = assembled.packed ?? (await blobs.file(assembled.layer.digest))
  await from.close()
  return { ...assembled, path }
}

function blobsOf(from: Source, { layers }: ImageManifest): BlobFiles {
  const dir = tempDir('blobs')
  return {
    async file(digest) {
      const path = join(dir, digest.slice(7))
      const descriptor = layers.find((layer) => layer.digest === digest)!
      await pipeline(from.blob(descriptor), createWriteStream(path))
      return path
    },
  }
}

/** The value of a query after loading the bundle, as `opa eval` prints it. */
export async function evaluate(bundle: string, query: string, version: OpaVersion = '1.22.0'): Promise<unknown> {
  const { stdout } = await execOk(component(`opa-${version}`), ['eval', '--bundle', bundle, '--format', 'json', query])
  const { result } = JSON.parse(stdout) as { result: { expressions: { value: unknown }[] }[] }
  return result[0]?.expressions[0]?.value
}

/** Serves one file under every path, with an ETag, as OPA wants a bundle. */
export async function serveFile(path: string): Promise<Served> {
  const body = await readFile(path)
  return serve((_request, response) => {
    response.setHeader('etag', '"one"')
    response.end(body)
  })
}

/** A registry of one artifact, under every name and tag; like ours, it does not care for Accept. */
export async function serveArtifact({ manifest, blobs }: Push): Promise<Served> {
  const contents = new Map<string, Buffer>()
  for (const { descriptor, open } of blobs) {
    contents.set(descriptor.digest, Buffer.concat(await Array.fromAsync(open())))
  }
  return serve((request, response) => {
    const [kind, reference = ''] = request.url!.split('/').slice(-2)
    const body = kind === 'manifests' ? Buffer.from(manifest.bytes) : contents.get(reference)
    if (kind === 'manifests') {
      response.setHeader('content-type', manifest.mediaType)
      response.setHeader('docker-content-digest', manifest.digest)
    }
    response.writeHead(body === undefined ? 404 : 200, { 'content-length': body?.length ?? 0 })
    response.end(request.method === 'HEAD' ? undefined : body)
  })
}

export interface Served {
  url: string
  host: string
  close(): void
}

async function serve(answer: RequestListener): Promise<Served> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url: `http://${host}`, host, close: () => server.close() }
}
