import { RemoteError } from '../lib/errors.ts'
import { callTo, named, type Context } from './context.ts'
import { digestOf, type Digest } from './digest.ts'
import { artifactTypeOf, bareMediaType, parseManifest, type Manifest } from './manifest.ts'
import { optionalManifest, putManifest } from './manifests.ts'
import { ociIndex } from './media.ts'
import { boundsOf, documentOf, itemsOf, pageOf } from './pages.ts'
import type { Descriptor, RawManifest } from './target.ts'

/** https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema */
export function referrersTag(digest: Digest): string {
  const [algorithm, encoded] = digest.split(':') as [string, string]
  return `${algorithm.slice(0, 32)}-${encoded.slice(0, 64)}`
}

/** How a manifest appears in the list of what refers to its subject. */
export function referrerOf(raw: RawManifest, manifest: Manifest): Descriptor {
  const artifactType = artifactTypeOf(manifest)
  return {
    mediaType: manifest.mediaType,
    digest: raw.digest,
    size: raw.bytes.length,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(manifest.annotations === undefined ? {} : { annotations: manifest.annotations }),
  }
}

/** The members of a list of referrers; empty for what is no index. */
export function membersOf(raw: RawManifest): Descriptor[] {
  const manifest = parseManifest(raw)
  return manifest.kind === 'index' ? manifest.manifests : []
}

export function ofType(members: Descriptor[], artifactType: string | undefined): Descriptor[] {
  return artifactType === undefined ? members : members.filter((member) => member.artifactType === artifactType)
}

/** The tag index without `digest`, and with `added` at its end. Undefined when nothing would change. */
export function changedIndex(
  current: RawManifest | undefined,
  change: { add: Descriptor } | { remove: Digest },
): RawManifest | undefined {
  const members = current === undefined ? [] : membersOf(current)
  const digest = 'add' in change ? change.add.digest : change.remove
  const isMember = members.some((member) => member.digest === digest)
  if ('add' in change === isMember) return undefined
  const others = members.filter((member) => member.digest !== digest)
  const manifests = 'add' in change ? [...others, change.add] : others
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests }))
  return { mediaType: ociIndex, bytes, digest: digestOf(bytes) }
}

/**
 * What refers to a digest: from the registry's list where it keeps one, else from the tag index.
 * https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers
 */
export async function listReferrers(
  context: Context,
  digest: Digest,
  artifactType: string | undefined,
  signal?: AbortSignal,
): Promise<Descriptor[]> {
  const found = await referrersByApi(context, digest, artifactType, signal)
  if (found !== undefined) return found
  const index = await optionalManifest(context, referrersTag(digest), signal)
  return index === undefined ? [] : ofType(membersOf(index), artifactType)
}

/** Undefined where the registry does not keep such a list. */
export async function referrersByApi(
  context: Context,
  digest: Digest,
  artifactType: string | undefined,
  signal?: AbortSignal,
): Promise<Descriptor[] | undefined> {
  const { host, origin, limits, repository } = context.site
  const what = `list what refers to ${named(context, digest)}`
  const query = artifactType === undefined ? '' : `?artifactType=${encodeURIComponent(artifactType)}`
  const refuse = (why: string) => new RemoteError('protocol', `cannot ${what}: ${host} ${why}`, { host, status: 200 })
  const fetch = async (url: string | URL) => {
    const call = {
      ...callTo(context, '', {
        method: 'GET',
        what,
        ok: [200, 400, 404, 405, 501],
        headers: { accept: ociIndex },
        signal,
      }),
      url,
    }
    return context.transport.use(context.site, call, async (answer) => {
      if (answer.status !== 200 || bareMediaType(answer.header('content-type') ?? '') !== ociIndex) {
        await answer.discard()
        throw new NoReferrersApi()
      }
      const bytes = await pageOf(answer, limits, refuse)
      const isFiltered = (answer.header('oci-filters-applied') ?? '').split(/\s*,\s*/).includes('artifactType')
      const read = (page: Buffer) => membersOf({ mediaType: ociIndex, bytes: page, digest: digestOf(page) })
      const members = documentOf(bytes, answer, read, refuse)
      return { items: isFiltered ? members : ofType(members, artifactType), bytes: bytes.length, answer }
    })
  }
  const first = `/v2/${repository}/referrers/${digest}${query}`
  const found: Descriptor[] = []
  try {
    const pages = itemsOf({ first, origin, host, what, ...boundsOf(limits), fetch })
    for await (const member of pages) found.push(member)
  } catch (error) {
    if (error instanceof NoReferrersApi) return undefined
    throw error
  }
  return found
}

class NoReferrersApi extends Error {}

/** Keeps the tag index of a subject, for registries that keep no list themselves. Last writer wins between processes. */
export async function changeTagIndex(
  context: Context,
  subject: Digest,
  change: { add: Descriptor } | { remove: Digest },
  signal?: AbortSignal,
): Promise<void> {
  const tag = referrersTag(subject)
  const { host, repository } = context.site
  await context.turns.run(`${host}/${repository}:${tag}`, async () => {
    const changed = changedIndex(await optionalManifest(context, tag, signal), change)
    if (changed !== undefined) await putManifest(context, changed, tag, signal)
  })
}
