import type { OutgoingHttpHeaders } from 'node:http'
import type { Digest } from '../../oci/digest.ts'
import { isRepositoryName } from '../../oci/reference.ts'
import { sendEmpty } from './answer.ts'
import { bodyOf, declaredLength, exactly } from './body.ts'
import { audit, canSee, demand, digestIn, repositoryOf, type Call } from './call.ts'
import { readChunkRange } from './range.ts'
import { Refusal, refusal } from './refusal.ts'

const algorithms = ['sha256', 'sha512']
/** How many repositories are tried at a time for a mount that does not say from where. */
const mountPage = 1000

/** POST `/v2/<name>/blobs/uploads/`: a mount, a whole blob, or a session for one that follows. */
export async function startUpload(call: Call): Promise<void> {
  demand(call, 'push')
  const query = call.exchange.url.searchParams
  const algorithm = query.get('digest-algorithm')
  if (algorithm !== null && !algorithms.includes(algorithm)) {
    throw refusal(
      400,
      'DIGEST_INVALID',
      `the digest algorithm ${JSON.stringify(algorithm.slice(0, 50))} is not supported`,
    )
  }
  if (query.has('mount')) {
    const digest = digestIn(query.get('mount'))
    if (await mount(call, digest, query.get('from'))) {
      audit(call, 'mount', { kind: 'blob', reference: digest, digest })
      sendCreated(call, digest)
      return
    }
  } else if (query.has('digest')) {
    await uploadWhole(call, digestIn(query.get('digest')))
    return
  }
  const id = await call.options.registry.uploads.start(call.repository)
  sendEmpty(call, 202, sessionHeaders(call, id, 0))
}

/** A source that the caller may not read is like one that lacks the blob: nobody learns what it holds. */
async function mount(call: Call, digest: Digest, from: string | null): Promise<boolean> {
  const repository = repositoryOf(call)
  if (from !== null && from !== '') {
    return isRepositoryName(from) && canSee(call, from) && (await repository.mount(digest, { from }))
  }
  let after: string | undefined
  for (;;) {
    const names = await call.options.registry.repositories({ limit: mountPage, ...(after !== undefined && { after }) })
    const readable = names.filter((name) => canSee(call, name))
    if (readable.length > 0 && (await repository.mount(digest, { readable }))) return true
    if (names.length < mountPage) return false
    after = names.at(-1)
  }
}

async function uploadWhole(call: Call, digest: Digest): Promise<void> {
  const { maxBlobBytes } = call.options.limits
  refuseTooLong(call, maxBlobBytes)
  const { request, signal } = call.exchange
  const leave = call.options.registry.uploads.enter()
  try {
    await repositoryOf(call).ingestBlob(bodyOf(request), { digest, maxBytes: maxBlobBytes, signal })
  } finally {
    leave()
  }
  audit(call, 'push', { kind: 'blob', reference: digest, digest })
  sendCreated(call, digest)
}

/** GET `/v2/<name>/blobs/uploads/<id>`: where the session stands. */
export async function getUpload(call: Call): Promise<void> {
  demand(call, 'push')
  sendEmpty(call, 204, sessionHeaders(call, call.reference, await sizeOf(call)))
}

/** PATCH `/v2/<name>/blobs/uploads/<id>`: a chunk that says where it belongs, or a stream that goes on where the last one ended. */
export async function patchUpload(call: Call): Promise<void> {
  demand(call, 'push')
  const size = await append(call)
  sendEmpty(call, 202, sessionHeaders(call, call.reference, size))
}

/** PUT `/v2/<name>/blobs/uploads/<id>?digest=…`: the last chunk if there is a body, and the end of the session. */
export async function putUpload(call: Call): Promise<void> {
  demand(call, 'push')
  const digest = digestIn(call.exchange.url.searchParams.get('digest'))
  if (hasBody(call)) await append(call)
  const done = await call.options.registry.uploads.finish(call.repository, call.reference, digest)
  if (done === undefined) throw uploadUnknown(call)
  audit(call, 'push', { kind: 'blob', reference: digest, digest })
  sendCreated(call, digest)
}

/** DELETE `/v2/<name>/blobs/uploads/<id>` */
export async function cancelUpload(call: Call): Promise<void> {
  demand(call, 'push')
  if (!(await call.options.registry.uploads.cancel(call.repository, call.reference))) throw uploadUnknown(call)
  sendEmpty(call, 204)
}

/** Appends the request's body to the session and returns its new size. Throws Refusal 416 out of order, and then nothing has changed. */
async function append(call: Call): Promise<number> {
  const { request, signal } = call.exchange
  const { uploads } = call.options.registry
  const chunk = chunkOf(call)
  const size = await sizeOf(call)
  if (chunk !== undefined && chunk.offset !== size) throw outOfOrder(call, size)
  const maxBytes = call.options.limits.maxBlobBytes - size
  refuseTooLong(call, maxBytes)
  const body = bodyOf(request)
  const result = await uploads.append(
    call.repository,
    call.reference,
    chunk === undefined ? body : exactly(body, chunk.length),
    { maxBytes, signal, ...(chunk && { offset: chunk.offset }) },
  )
  if (result === undefined) throw uploadUnknown(call)
  if (result.outOfOrder) throw outOfOrder(call, result.size)
  return result.size
}

/** Where the chunk begins and how long it says it is; undefined for a stream. */
function chunkOf(call: Call): { offset: number; length: number } | undefined {
  const header = call.exchange.request.headers['content-range']
  if (header === undefined) return undefined
  const range = readChunkRange(header)
  if (range === undefined) {
    throw refusal(
      400,
      'BLOB_UPLOAD_INVALID',
      `Content-Range is not FIRST-LAST: ${JSON.stringify(header.slice(0, 100))}`,
    )
  }
  const length = range.last - range.first + 1
  const declared = declaredLength(call.exchange.request)
  if (declared !== undefined && declared !== length) {
    throw refusal(400, 'SIZE_INVALID', `Content-Range names ${length} bytes, Content-Length ${declared}`)
  }
  return { offset: range.first, length }
}

async function sizeOf(call: Call): Promise<number> {
  const size = await call.options.registry.uploads.status(call.repository, call.reference)
  if (size === undefined) throw uploadUnknown(call)
  return size
}

function hasBody(call: Call): boolean {
  const { headers } = call.exchange.request
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

function refuseTooLong(call: Call, maxBytes: number): void {
  const declared = declaredLength(call.exchange.request)
  if (declared === undefined || declared <= maxBytes) return
  const { maxBlobBytes } = call.options.limits
  throw refusal(413, 'SIZE_INVALID', `a blob may have ${maxBlobBytes} bytes, this one would have more`, {
    maxBlobBytes,
  })
}

function sendCreated(call: Call, digest: Digest): void {
  const location = `/v2/${call.repository}/blobs/${digest}`
  sendEmpty(call, 201, { Location: location, 'Docker-Content-Digest': digest })
}

function sessionHeaders(call: Call, id: string, size: number): OutgoingHttpHeaders {
  return {
    Location: `/v2/${call.repository}/blobs/uploads/${id}`,
    // The position of the last byte. Nothing yet is written 0-0 as well: it is what every client can parse.
    Range: `0-${Math.max(0, size - 1)}`,
    'Docker-Upload-UUID': id,
  }
}

function outOfOrder(call: Call, size: number): Refusal {
  const message = `the next chunk has to begin at ${size}`
  const { Location, Range } = sessionHeaders(call, call.reference, size) as Record<'Location' | 'Range', string>
  return new Refusal(416, [{ code: 'BLOB_UPLOAD_INVALID', message }], { Location, Range })
}

function uploadUnknown(call: Call): Refusal {
  return refusal(404, 'BLOB_UPLOAD_UNKNOWN', `${call.repository} has no such upload; it may have expired: begin again`)
}
