import type { OutgoingHttpHeaders } from 'node:http'
import { RemoteError } from '../../lib/errors.ts'
import { algorithmOf, digestOf, isDigest, type Digest } from '../../oci/digest.ts'
import { parseJsonObject } from '../../oci/json.ts'
import { bareMediaType } from '../../oci/manifest.ts'
import { isTag } from '../../oci/reference.ts'
import type { RawManifest } from '../../oci/target.ts'
import { sendBytes, sendEmpty, writeHead } from './answer.ts'
import { readBody } from './body.ts'
import { audit, demand, digestIn, repositoryOf, type Call } from './call.ts'
import { isNotModified } from './etag.ts'
import { Refusal, refusal } from './refusal.ts'

/**
 * GET and HEAD `/v2/<name>/manifests/<reference>`. What was stored is sent, whatever `Accept` says: a client that cannot
 * use it finds that out from the type, and many send no `Accept` at all.
 */
export async function getManifest(call: Call): Promise<void> {
  demand(call, 'read')
  const { request, response } = call.exchange
  const reference = referenceOf(call)
  if (request.method === 'HEAD') {
    const found = await repositoryOf(call).head(reference, call.exchange.signal)
    if (found === undefined) throw manifestUnknown(call)
    const headers = manifestHeaders(found)
    if (isNotModified(request.headers['if-none-match'], headers.ETag)) sendEmpty(call, 304, headers)
    else {
      writeHead(response, 200, { ...headers, 'Content-Length': found.size })
      response.end()
    }
    return
  }
  const manifest = await read(call, reference)
  const headers = manifestHeaders(manifest)
  if (isNotModified(request.headers['if-none-match'], headers.ETag)) sendEmpty(call, 304, headers)
  else sendBytes(call, manifest.bytes, headers)
}

function manifestHeaders(manifest: { mediaType: string; digest: Digest }): OutgoingHttpHeaders & { ETag: string } {
  return {
    'Content-Type': manifest.mediaType,
    'Docker-Content-Digest': manifest.digest,
    ETag: `"${manifest.digest}"`,
  }
}

async function read(call: Call, reference: string): Promise<RawManifest> {
  try {
    // Nothing that takes long enough to be broken off: making a signal would.
    return await repositoryOf(call).manifest(reference)
  } catch (error) {
    throw error instanceof RemoteError && error.code === 'not_found' ? manifestUnknown(call) : error
  }
}

/** PUT `/v2/<name>/manifests/<reference>`, by digest with `?tag=` for each tag that it is to have. */
export async function putManifest(call: Call): Promise<void> {
  demand(call, 'push')
  const { request, url } = call.exchange
  const byDigest = call.reference.includes(':')
  const named = byDigest ? digestIn(call.reference) : undefined
  const tags = byDigest ? [...new Set(url.searchParams.getAll('tag'))] : [call.reference]
  for (const tag of tags)
    if (!isTag(tag)) throw refusal(400, 'MANIFEST_INVALID', `not a tag: ${JSON.stringify(tag.slice(0, 200))}`)
  const bytes = await readBody(call, call.options.limits.maxManifestBytes, 'a manifest')
  const digest = digestOf(bytes, named === undefined ? 'sha256' : algorithmOf(named))
  if (named !== undefined && named !== digest) {
    throw refusal(400, 'DIGEST_INVALID', `the manifest's digest is ${digest}, not ${named}`)
  }
  const mediaType = mediaTypeOf(request.headers['content-type'], bytes)
  const result = await repositoryOf(call).put({ mediaType, digest, bytes }, tags)
  if (result.missing.length > 0) throw blobsMissing(call, result.missing)
  const subject = 'subject' in result ? result.subject : null
  audit(call, 'push', { kind: 'manifest', reference: tags.length === 0 ? digest : tags.join(' '), digest })
  sendEmpty(call, 201, {
    Location: `/v2/${call.repository}/manifests/${digest}`,
    'Docker-Content-Digest': digest,
    ...(subject !== null && { 'OCI-Subject': subject }),
    ...(byDigest && tags.length > 0 && { 'OCI-Tag': tags }),
  })
}

/** The specification only asks clients for a Content-Type: without one, what the manifest calls itself has to do. */
function mediaTypeOf(contentType: string | undefined, bytes: Uint8Array): string {
  if (contentType !== undefined && contentType !== '') return bareMediaType(contentType)
  const stated = parseJsonObject(bytes, 'the manifest').mediaType
  if (typeof stated === 'string') return stated
  throw refusal(400, 'MANIFEST_INVALID', 'the manifest has neither a Content-Type nor a mediaType')
}

function blobsMissing(call: Call, missing: readonly Digest[]): Refusal {
  const entries = missing.slice(0, 100).map((digest) => ({
    code: 'MANIFEST_BLOB_UNKNOWN' as const,
    message: `${call.repository} does not have ${digest}, which the manifest names: push it first`,
    detail: { digest },
  }))
  return new Refusal(400, entries)
}

/** DELETE `/v2/<name>/manifests/<reference>`: a tag alone, or a manifest with every tag that points at it. */
export async function deleteManifest(call: Call): Promise<void> {
  demand(call, 'delete')
  const reference = referenceOf(call)
  const repository = repositoryOf(call)
  const found = await repository.head(reference, call.exchange.signal)
  if (found === undefined) throw manifestUnknown(call)
  const byDigest = isDigest(reference)
  const removed = byDigest ? await repository.removeManifest(reference) : await repository.removeTag(reference)
  if (!removed) throw manifestUnknown(call)
  audit(call, 'delete', { kind: byDigest ? 'manifest' : 'tag', reference, digest: found.digest })
  sendEmpty(call, 202)
}

/** A digest, or a tag; what fits neither cannot be there. */
function referenceOf(call: Call): string {
  if (call.reference.includes(':')) return digestIn(call.reference)
  if (isTag(call.reference)) return call.reference
  throw manifestUnknown(call)
}

function manifestUnknown(call: Call): Refusal {
  const reference = call.reference.slice(0, 200)
  return refusal(404, 'MANIFEST_UNKNOWN', `${call.repository} has no such manifest`, { reference })
}
