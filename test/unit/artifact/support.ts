import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { readArchive, type ArchiveOptions } from '../../../src/artifact/archive.ts'
import type { PackFile } from '../../../src/artifact/pack.ts'
import { encodeHeader, paxRecord, zeroBlock } from '../../../src/artifact/tar-header.ts'
import type { ArchiveLimits, BlobFiles } from '../../../src/artifact/types.ts'
import { IntegrityError } from '../../../src/lib/errors.ts'
import { digestOf, type Digest } from '../../../src/oci/digest.ts'
import { ociConfig, ociEmpty, ociManifest } from '../../../src/oci/media.ts'
import type { Descriptor, RawManifest } from '../../../src/oci/target.ts'
import { tempDir } from '../../support/temp.ts'

export const limits: ArchiveLimits = {
  maxEntries: 1000,
  maxUnpackedBytes: 64 * 1024 * 1024,
  maxRatio: 200,
  maxFileBytes: 8 * 1024 * 1024,
}

export interface Entry {
  name: string
  type?: string
  content?: string | Buffer
  /** Claimed instead of the content's length. */
  size?: number
  mode?: number
  /** Changes the finished header; its checksum is made right again. */
  edit?: (header: Buffer) => void
}

/** One entry of a tar, as hostile as the test wants. */
export function entry({ name, type = '0', content = '', size, mode = 0o644, edit }: Entry): Buffer {
  const body = Buffer.from(content)
  const header = encodeHeader({ name, type, size: size ?? body.length, mode })
  edit?.(header)
  if (edit !== undefined) checksum(header)
  return Buffer.concat([header, body, Buffer.alloc((512 - (body.length % 512)) % 512)])
}

export function checksum(header: Buffer): void {
  header.write(' '.repeat(8), 148, 'latin1')
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
}

export function pax(records: Record<string, string>, type = 'x'): Buffer {
  const content = Buffer.concat(Object.entries(records).map(([key, value]) => paxRecord(key, value)))
  return entry({ name: 'PaxHeaders/x', type, content })
}

export function file(name: string, content: string | Buffer = 'x'): Buffer {
  return entry({ name, content })
}

export const end = Buffer.concat([zeroBlock(), zeroBlock()])

export function tar(...entries: Buffer[]): Buffer {
  return Buffer.concat([...entries, end])
}

export function tarGz(...entries: Buffer[]): Buffer {
  return gzipSync(tar(...entries))
}

export function save(bytes: Buffer, name = 'archive'): string {
  const path = join(tempDir('artifact'), name)
  writeFileSync(path, bytes)
  return path
}

/** Path → content of an archive's files; folders are listed with null. */
export async function read(
  bytes: Buffer,
  options: Partial<ArchiveOptions> = {},
): Promise<Record<string, string | null>> {
  const found: Record<string, string | null> = {}
  for await (const one of readArchive(save(bytes), { limits, leadingSlash: 'refuse', ...options })) {
    const chunks = await Array.fromAsync(one.content())
    found[one.path] = one.type === 'directory' ? null : Buffer.concat(chunks).toString()
  }
  return found
}

/** The error's code and file; fails when there is none. */
export async function refusal(
  promise: Promise<unknown>,
): Promise<{ code: string; file: string | undefined; message: string }> {
  const error: unknown = await promise.then(
    (value) => new Error(`not refused: ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  )
  if (!(error instanceof IntegrityError)) throw error
  return { code: error.code, file: error.file, message: error.message }
}

export function packFile(path: string, content: string | Buffer, executable = false): PackFile {
  const bytes = Buffer.from(content)
  return {
    path,
    size: bytes.length,
    executable,
    open: async function* () {
      yield bytes
    },
  }
}

/** Writes files below a new folder: path → content. */
export function folder(files: Record<string, string>): string {
  const path = tempDir('folder')
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true })
    writeFileSync(join(path, name), content)
  }
  return path
}

/** Blobs in a folder, and manifests that name them. */
export class TestBlobs implements BlobFiles {
  readonly #folder = tempDir('blobs')
  readonly #paths = new Map<Digest, string>()

  layer(bytes: Buffer | string, mediaType: string, annotations?: Record<string, string>): Descriptor {
    const digest = digestOf(bytes)
    const path = join(this.#folder, digest.slice(7))
    writeFileSync(path, bytes)
    this.#paths.set(digest, path)
    return { mediaType, digest, size: Buffer.from(bytes).length, ...(annotations && { annotations }) }
  }

  /** As `oras push a.rego` writes it. */
  titled(title: string, bytes: Buffer | string, mediaType = 'application/vnd.oci.image.layer.v1.tar'): Descriptor {
    return this.layer(bytes, mediaType, { 'org.opencontainers.image.title': title })
  }

  /** As `oras push folder/` writes it. */
  unpackable(title: string, bytes: Buffer): Descriptor {
    return this.layer(bytes, 'application/vnd.oci.image.layer.v1.tar+gzip', {
      'org.opencontainers.image.title': title,
      'io.deis.oras.content.unpack': 'true',
    })
  }

  async file(digest: Digest): Promise<string> {
    const path = this.#paths.get(digest)
    if (path === undefined) throw new Error(`no blob ${digest}`)
    return path
  }
}

export function image(layers: Descriptor[], config = ociConfig): RawManifest {
  const empty = { mediaType: config, digest: digestOf('{}'), size: 2 }
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociManifest, config: empty, layers }))
  return { mediaType: ociManifest, digest: digestOf(bytes), bytes }
}

export const emptyType = ociEmpty
