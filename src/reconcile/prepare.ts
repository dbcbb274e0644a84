import { rm } from 'node:fs/promises'
import { readFileChunks } from '../content/reader.ts'
import { IntegrityError } from '../lib/errors.ts'
import { digestOf, type Digest } from '../oci/digest.ts'
import { parseManifest } from '../oci/manifest.ts'
import { emptyJson } from '../oci/media.ts'
import { formatSize } from '../lib/units.ts'
import type { Assembled } from '../artifact/types.ts'
import type { LocalRepository } from '../registry/types.ts'
import type { ReleaseDraft } from '../state/state.ts'
import type { Candidate } from '../stores/store.ts'
import type { LookContext } from './look.ts'
import type { BundleSpec } from './types.ts'

type Prepared = Pick<
  ReleaseDraft,
  'bundleDigest' | 'size' | 'manifestDigest' | 'sourceDigest' | 'form' | 'revision'
> & {
  /** What was transferred for it. */
  bytes: number
}

/**
 * Everything a release needs, in the catalog of `bundles/NAME`, under no tag yet. Throws IntegrityError when the candidate is to
 * be refused: then its manifest is gone again from there.
 */
export async function prepare(
  { name, kind, limits, platform, store }: BundleSpec,
  candidate: Candidate,
  context: LookContext,
  signal: AbortSignal,
): Promise<Prepared> {
  const { registry, assembler, scratch, opaPath } = context
  const repository = registry.repository(repositoryOf(name))
  const into = bounded(repository, limits.maxUnpackedBytes)
  const { manifest: source, bytes } = await store.fetch(candidate, into, { platform, signal })
  try {
    const raw = await repository.manifest(source.digest, signal)
    const files = { file: (digest: Digest) => repository.blobFile(digest) }
    const options = { kind, limits, scratch, signal, ...(opaPath === undefined ? {} : { opaPath }) }
    const assembled = await assembler.assemble(raw, files, options)
    try {
      await keep(repository, assembled, signal)
    } finally {
      if (assembled.packed !== null) await rm(assembled.packed, { force: true })
    }
    return {
      bundleDigest: assembled.layer.digest,
      size: assembled.layer.size,
      manifestDigest: assembled.manifest.digest,
      sourceDigest: source.digest,
      form: assembled.form,
      revision: assembled.revision,
      bytes,
    }
  } catch (error) {
    if (error instanceof IntegrityError && !signal.aborted) await withdraw(name, source.digest, context)
    throw error
  }
}

/** Of what is only watched: what the version names is the release, an index as such. */
export function unpulled({ fingerprint }: Candidate): Prepared {
  const digest = fingerprint as Digest
  const nothing = { bundleDigest: null, size: 0, revision: null, bytes: 0 }
  return { ...nothing, manifestDigest: digest, sourceDigest: digest, form: 'original' }
}

/** Takes a manifest out of `bundles/NAME` again, unless a release there is made of it: what was refused is not handed out. */
export async function withdraw(bundle: string, digest: Digest, { state, registry }: LookContext): Promise<void> {
  const release = await state.bundles.releaseByDigest(bundle, digest)
  if (release?.kept !== true) await registry.repository(repositoryOf(bundle)).removeManifest(digest)
}

export function repositoryOf(bundle: string): string {
  return `bundles/${bundle}`
}

/**
 * A repository that takes so many bytes and no more: what is larger than it may unpack to would be refused anyway, but only after
 * it had filled the disk.
 */
function bounded(repository: LocalRepository, maxBytes: number): LocalRepository {
  let left = maxBytes
  const take = (size: number) => {
    if (size <= left) return void (left -= size)
    throw new IntegrityError('bad_archive', `it has more to fetch than ${formatSize(maxBytes)}`, {
      hint: 'The ceilings are in the config, under `limits`.',
    })
  }
  return {
    ...repository,
    async putBlob(descriptor, open, signal) {
      take(descriptor.size)
      await repository.putBlob(descriptor, open, signal)
    },
    async putManifest(manifest, tags, signal) {
      take(manifest.bytes.length)
      await repository.putManifest(manifest, tags, signal)
    },
  }
}

/** Puts what was made here next to what was fetched. */
async function keep(repository: LocalRepository, assembled: Assembled, signal: AbortSignal): Promise<void> {
  const { manifest, layer, packed } = assembled
  if (packed === null) return
  await repository.ingestBlob(readFileChunks(packed), { digest: layer.digest, signal })
  const parsed = parseManifest(manifest)
  if (parsed.kind === 'image' && parsed.config.digest === digestOf(emptyJson)) {
    await repository.putBlob(parsed.config, () => chunks(emptyJson), signal)
  }
  await repository.putManifest(manifest, [], signal)
}

async function* chunks(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}
