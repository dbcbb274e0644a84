import { ConfigError, IntegrityError, RemoteError } from '../lib/errors.ts'
import type { Answer } from './answer.ts'
import { callTo, named, type Context } from './context.ts'
import { algorithmOf, digestOf, isDigest, type Digest } from './digest.ts'
import { packed, refused } from './errors.ts'
import { parseJsonObject } from './json.ts'
import { bareMediaType, maxManifestBytes, parseManifest } from './manifest.ts'
import { dockerList, dockerManifest, isImageManifest, isIndex, isSchema1, ociIndex, ociManifest } from './media.ts'
import { isTag } from './reference.ts'
import type { Descriptor, RawManifest } from './target.ts'

/** One header with all types: some registries read only the first of several. */
const accept = [ociIndex, ociManifest, dockerList, dockerManifest].join(', ')

/** One HEAD; a GET where the registry does not say all that is needed. */
export async function headManifest(
  context: Context,
  reference: string,
  signal?: AbortSignal,
): Promise<Descriptor | undefined> {
  const what = `look for ${named(context, reference)}`
  const { host } = context.site
  const call = callTo(context, pathOf(reference), {
    method: 'HEAD',
    what,
    ok: [200, 403, 404, 405],
    headers: { accept },
    signal,
  })
  const answer = await context.transport.send(context.site, call)
  await answer.discard()
  if (answer.status === 404) return undefined
  // Storage that was asked by a URL signed for GET refuses HEAD.
  if (answer.status === 403 && !answer.redirected) throw refused({ host, status: 403, what })
  const told = answer.status === 200 ? descriptorTold(answer, reference, host, what) : undefined
  if (told !== undefined) return told
  const digest = isDigest(reference) ? reference : digestTold(answer)
  const known = answer.status === 200 && digest !== undefined ? context.fetched?.get(digest) : undefined
  if (known !== undefined) return known
  const raw = await optionalManifest(context, reference, signal)
  return raw === undefined ? undefined : remember(context, raw)
}

const mostRemembered = 100

function remember(context: Context, { mediaType, digest, bytes }: RawManifest): Descriptor {
  const descriptor = { mediaType, digest, size: bytes.length }
  const fetched = (context.fetched ??= new Map<Digest, Descriptor>())
  if (fetched.size >= mostRemembered) fetched.clear()
  fetched.set(digest, descriptor)
  return descriptor
}

export async function getManifest(context: Context, reference: string, signal?: AbortSignal): Promise<RawManifest> {
  const what = `fetch ${named(context, reference)}`
  const call = callTo(context, pathOf(reference), { method: 'GET', what, ok: [200], headers: { accept }, signal })
  return context.transport.use(context.site, call, async (answer) => {
    try {
      return await readManifest(answer, reference, context, what)
    } catch (error) {
      const encoding = answer.encoding()
      throw encoding === undefined ? error : packed(error, encoding, context.site.host, what)
    }
  })
}

async function readManifest(answer: Answer, reference: string, context: Context, what: string): Promise<RawManifest> {
  const name = named(context, reference)
  const mediaType = await manifestTypeOf(answer, context.site.host, what)
  const bytes = await answer.bytes(maxManifestBytes)
  const asked = isDigest(reference) ? reference : digestTold(answer)
  const digest = digestOf(bytes, asked === undefined ? 'sha256' : algorithmOf(asked))
  if (asked !== undefined && digest !== asked) {
    throw new IntegrityError('digest_mismatch', `${name} has the digest ${digest}, not ${asked}`)
  }
  const raw = { mediaType: mediaType ?? statedType(bytes, name), digest, bytes }
  parseManifest(raw, `manifest ${name}`)
  return raw
}

/** Undefined where there is none. */
export async function optionalManifest(
  context: Context,
  reference: string,
  signal?: AbortSignal,
): Promise<RawManifest | undefined> {
  try {
    return await getManifest(context, reference, signal)
  } catch (error) {
    if (error instanceof RemoteError && error.code === 'not_found') return undefined
    throw error
  }
}

/** Whether the registry said that it looked at the subject (`OCI-Subject`): then it keeps the list of referrers. */
export async function putManifest(
  context: Context,
  raw: RawManifest,
  reference: string,
  signal?: AbortSignal,
): Promise<boolean> {
  const answer = await context.transport.send(
    context.site,
    callTo(context, pathOf(reference), {
      method: 'PUT',
      what: `push ${named(context, reference)}`,
      ok: [200, 201, 202, 204],
      headers: { 'content-type': raw.mediaType },
      actions: ['pull', 'push'],
      body: raw.bytes,
      signal,
    }),
  )
  await answer.discard()
  const stored = digestTold(answer)
  if (stored !== undefined && algorithmOf(stored) === algorithmOf(raw.digest) && stored !== raw.digest) {
    throw new IntegrityError('digest_mismatch', `${context.site.host} stored ${stored} when it was sent ${raw.digest}`)
  }
  return answer.header('oci-subject') !== undefined
}

export async function deleteAt(context: Context, path: string, what: string, signal?: AbortSignal): Promise<void> {
  const call = callTo(context, path, {
    method: 'DELETE',
    what,
    ok: [200, 202, 204],
    actions: ['pull', 'push', 'delete'],
    signal,
  })
  const answer = await context.transport.send(context.site, call)
  await answer.discard()
}

/** No text reaches a URL before it passed here. Throws ConfigError. */
export function pathOf(reference: string): string {
  if (isDigest(reference) || isTag(reference)) return `manifests/${reference}`
  throw new ConfigError(`neither a tag nor a digest: ${JSON.stringify(reference.slice(0, 200))}`, {
    code: 'bad_reference',
  })
}

/** Undefined when the headers do not say everything; the digest is the registry's word until the manifest is fetched. */
function descriptorTold(answer: Answer, reference: string, host: string, what: string): Descriptor | undefined {
  const mediaType = bareMediaType(answer.header('content-type') ?? '')
  if (isSchema1(mediaType)) throw schema1(host, what)
  const size = answer.length()
  const told = digestTold(answer)
  if (size === undefined || (!isIndex(mediaType) && !isImageManifest(mediaType))) return undefined
  if (!isDigest(reference)) return told === undefined ? undefined : { mediaType, digest: told, size }
  if (told !== undefined && algorithmOf(told) === algorithmOf(reference) && told !== reference) {
    throw new IntegrityError('digest_mismatch', `${host} says that ${reference} has the digest ${told}`)
  }
  return { mediaType, digest: reference, size }
}

function digestTold(answer: Answer): Digest | undefined {
  const text = answer.header('docker-content-digest')
  return text !== undefined && isDigest(text) ? text : undefined
}

/** Looks at the type before anything is parsed: some answer 200 with a page for people. Undefined where none was sent. */
async function manifestTypeOf(answer: Answer, host: string, what: string): Promise<string | undefined> {
  const header = answer.header('content-type')
  if (header === undefined) return undefined
  const mediaType = bareMediaType(header)
  if (isIndex(mediaType) || isImageManifest(mediaType)) return mediaType
  await answer.discard()
  if (isSchema1(mediaType)) throw schema1(host, what)
  throw new RemoteError(
    'protocol',
    `cannot ${what}: ${host} answered with "${mediaType.slice(0, 100)}", which is no manifest`,
    {
      host,
      status: answer.status,
      hint: 'Is this a registry, or a page in front of one?',
    },
  )
}

function schema1(host: string, what: string): RemoteError {
  return new RemoteError('unsupported', `cannot ${what}: ${host} only has it in Docker's schema 1`, {
    host,
    hint: 'Push the image again with a current tool: every one since 2016 writes schema 2 or OCI.',
  })
}

function statedType(bytes: Uint8Array, what: string): string {
  const { mediaType } = parseJsonObject(bytes, what)
  return typeof mediaType === 'string' ? mediaType : ''
}

/** The `subject` of what is at a digest, if it can be seen. */
export async function subjectOf(context: Context, digest: Digest, signal?: AbortSignal): Promise<Digest | undefined> {
  const raw = await optionalManifest(context, digest, signal)
  return raw === undefined ? undefined : parseManifest(raw).subject?.digest
}
