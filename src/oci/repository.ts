import { ConfigError, IntegrityError, RemoteError } from '../lib/errors.ts'
import { hasBlob, readBlob, readRawBlob } from './blobs.ts'
import { named, type Context } from './context.ts'
import { algorithmOf, digestOf, parseDigest, type Digest } from './digest.ts'
import { listTags, tagPage, type TagPage } from './lists.ts'
import { parseManifest } from './manifest.ts'
import { deleteAt, getManifest, headManifest, putManifest, subjectOf } from './manifests.ts'
import { isTag } from './reference.ts'
import { changeTagIndex, listReferrers, referrerOf, referrersByApi } from './referrers.ts'
import type { Descriptor, RawManifest, Sink, Source } from './target.ts'
import { smallBytes, Uploads } from './upload.ts'

/** A repository at a registry. https://github.com/opencontainers/distribution-spec/blob/main/spec.md */
export class Repository implements Sink {
  /** `ghcr.io`; Docker Hub is `docker.io`. */
  readonly host: string
  /** `acme/policies`. */
  readonly repository: string
  readonly name: string
  readonly #context: Context
  /** Undefined before something is sent, as below: most repositories are only read. */
  #uploads: Uploads | undefined
  /** What the registry said that it does not have, until it is sent. */
  #missing: Set<Digest> | undefined

  constructor(context: Context) {
    const { host, repository } = context.site
    this.host = host
    this.repository = repository
    this.name = `${host}/${repository}`
    this.#context = context
  }

  head(reference: string, signal?: AbortSignal): Promise<Descriptor | undefined> {
    return headManifest(this.#context, reference, signal)
  }

  manifest(reference: string, signal?: AbortSignal): Promise<RawManifest> {
    return getManifest(this.#context, reference, signal)
  }

  blob(descriptor: Descriptor, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    return readBlob(this.#context, descriptor, signal)
  }

  rawBlob(descriptor: Descriptor, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    return readRawBlob(this.#context, descriptor, signal)
  }

  tags(signal?: AbortSignal): AsyncIterable<string> {
    return listTags(this.#context, signal)
  }

  /** One page of at most `n` tags after `last`, in the registry's order. */
  tagPage(page: { n: number; last?: string }, signal?: AbortSignal): Promise<TagPage> {
    return tagPage(this.#context, page, signal)
  }

  referrers(digest: Digest, options: { artifactType?: string; signal?: AbortSignal } = {}): Promise<Descriptor[]> {
    return listReferrers(this.#context, parseDigest(digest), options.artifactType, options.signal)
  }

  async hasBlob(descriptor: Descriptor, signal?: AbortSignal): Promise<boolean> {
    const isThere = await hasBlob(this.#context, descriptor, signal)
    if (isThere) this.#missing?.delete(descriptor.digest)
    else (this.#missing ??= new Set()).add(descriptor.digest)
    return isThere
  }

  async putBlob(
    descriptor: Descriptor,
    open: () => AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
    { unasked = false }: { unasked?: boolean } = {},
  ): Promise<void> {
    // Asked for it, or to mount it, the registry has just said that it is not there.
    const uploads = this.#sending()
    const isMissing = this.#missing?.delete(descriptor.digest) === true || uploads.isOffered(descriptor)
    if (!isMissing && !unasked && (await this.hasBlob(descriptor, signal))) return
    const isThere = () => this.hasBlob(descriptor, signal)
    if (unasked && !isMissing && descriptor.size <= smallBytes) {
      await uploads.putAtOnce(descriptor, open, isThere, signal)
    } else await uploads.put(descriptor, open, isThere, signal)
    this.#missing?.delete(descriptor.digest)
  }

  async mountBlob(descriptor: Descriptor, from: Source, signal?: AbortSignal): Promise<boolean> {
    if (!(from instanceof Repository) || from.host !== this.host) return false
    if (from.repository === this.repository) return this.hasBlob(descriptor, signal)
    try {
      return await this.#sending().mount(descriptor, from.repository, signal)
    } catch (error) {
      // A registry that cannot, or a source that we may not read there: the caller copies, and hears why if that fails too.
      const status = error instanceof RemoteError ? (error.status ?? 0) : 0
      if (status >= 400 && status < 500 && status !== 429) return false
      throw error
    }
  }

  async putManifest(manifest: RawManifest, tags: readonly string[], signal?: AbortSignal): Promise<void> {
    const parsed = parseManifest(manifest)
    const algorithm = algorithmOf(manifest.digest)
    if (digestOf(manifest.bytes, algorithm) !== manifest.digest) {
      throw new IntegrityError('digest_mismatch', `what was to be pushed to ${this.name} is not ${manifest.digest}`)
    }
    // A tag implies the digest, but only the one that registries compute by themselves.
    const references = tags.length === 0 || algorithm !== 'sha256' ? [manifest.digest, ...tags] : tags
    let keepsReferrers = true
    for (const reference of references) {
      const sawSubject = await putManifest(this.#context, manifest, reference, signal)
      keepsReferrers &&= sawSubject
    }
    if (parsed.subject === undefined || keepsReferrers) return
    await changeTagIndex(this.#context, parsed.subject.digest, { add: referrerOf(manifest, parsed) }, signal)
  }

  async deleteManifest(digest: Digest, signal?: AbortSignal): Promise<void> {
    const subject = await subjectOf(this.#context, parseDigest(digest), signal)
    await deleteAt(this.#context, `manifests/${digest}`, `delete ${named(this.#context, digest)}`, signal)
    if (subject === undefined || (await referrersByApi(this.#context, subject, undefined, signal)) !== undefined) return
    await changeTagIndex(this.#context, subject, { remove: digest }, signal)
  }

  async deleteTag(tag: string, signal?: AbortSignal): Promise<void> {
    if (!isTag(tag)) throw new ConfigError(`not a tag: ${JSON.stringify(tag.slice(0, 200))}`, { code: 'bad_reference' })
    const what = `delete ${named(this.#context, tag)}`
    try {
      await deleteAt(this.#context, `manifests/${tag}`, what, signal)
    } catch (error) {
      const cannot = error instanceof RemoteError && (error.status === 400 || error.status === 405)
      if (!cannot) throw error
      throw new RemoteError('unsupported', `cannot ${what}: ${this.host} cannot delete a tag by its name`, {
        host: this.host,
        status: error.status,
        cause: error,
        hint: 'Deleting by digest would work, but takes the manifest and all of its tags.',
      })
    }
  }

  async deleteBlob(digest: Digest, signal?: AbortSignal): Promise<void> {
    await deleteAt(this.#context, `blobs/${parseDigest(digest)}`, `delete blob ${named(this.#context, digest)}`, signal)
  }

  #sending(): Uploads {
    return (this.#uploads ??= new Uploads(this.#context))
  }
}
