import { ociIndex } from '../../oci/media.ts'
import type { Descriptor } from '../../oci/target.ts'
import { sendList } from './answer.ts'
import { canSee, demand, digestIn, repositoryOf, type Call } from './call.ts'
import { refusal } from './refusal.ts'

/** How many repositories are looked through at a time for those that the caller may read. */
const catalogPage = 1000

/** GET `/v2/<name>/tags/list`, with `n` and `last`. */
export async function listTags(call: Call): Promise<void> {
  demand(call, 'read')
  const { limit, after } = pageOf(call)
  // One more than asked for tells whether a next page is worth a Link.
  const tags = await repositoryOf(call).tagPage({ limit: limit + 1, ...after })
  if (tags.length === 0 && !(await call.options.registry.hasRepository(call.repository))) {
    throw refusal(404, 'NAME_UNKNOWN', `there is no repository ${call.repository}`, { name: call.repository })
  }
  const page = tags.slice(0, limit)
  const link = nextLink(`/v2/${call.repository}/tags/list`, tags.length > limit, limit, page.at(-1))
  sendList(call, { name: call.repository, tags: page }, link)
}

/** GET `/v2/_catalog`, with `n` and `last`: not of the specification, but of every registry. */
export async function listRepositories(call: Call): Promise<void> {
  demand(call, 'read')
  const { limit, after } = pageOf(call)
  const found: string[] = []
  let cursor = after
  for (;;) {
    const names = await call.options.registry.repositories({ limit: catalogPage, ...cursor })
    found.push(...names.filter((name) => canSee(call, name)))
    if (names.length < catalogPage || found.length > limit) break
    cursor = { after: names.at(-1)! }
  }
  const page = found.slice(0, limit)
  sendList(call, { repositories: page }, nextLink('/v2/_catalog', found.length > limit, limit, page.at(-1)))
}

/** GET `/v2/<name>/referrers/<digest>`; never 404, since nothing refers to what is not there yet. */
export async function listReferrers(call: Call): Promise<void> {
  demand(call, 'read')
  const digest = digestIn(call.reference)
  const query = call.exchange.url.searchParams
  const artifactType = query.get('artifactType') ?? ''
  const all = await repositoryOf(call).listReferrers(digest, artifactType === '' ? undefined : artifactType)
  const { page, next } = pageOfBytes(all, query.get('last'), call.options.limits.maxManifestBytes)
  const filter = artifactType === '' ? '' : `&artifactType=${encodeURIComponent(artifactType)}`
  const path = `/v2/${call.repository}/referrers/${digest}?last=${next}${filter}`
  sendList(
    call,
    { schemaVersion: 2, mediaType: ociIndex, manifests: page },
    {
      'Content-Type': ociIndex,
      ...(artifactType !== '' && { 'OCI-Filters-Applied': 'artifactType' }),
      ...(next !== undefined && { Link: `<${path}>; rel="next"` }),
    },
  )
}

/** As many as an index may be long, since clients read it as one; at least one, so that paging comes to an end. */
function pageOfBytes(
  all: Descriptor[],
  last: string | null,
  maxBytes: number,
): { page: Descriptor[]; next: string | undefined } {
  const from = last === null ? 0 : all.findIndex((descriptor) => descriptor.digest === last) + 1
  let left = maxBytes - 200
  let to = from
  while (to < all.length) {
    left -= Buffer.byteLength(JSON.stringify(all[to])) + 1
    if (left < 0 && to > from) break
    to++
  }
  return { page: all.slice(from, to), next: to < all.length ? all[to - 1]!.digest : undefined }
}

function pageOf(call: Call): { limit: number; after: { after?: string } } {
  const query = call.exchange.url.searchParams
  const { pageMax } = call.options.limits
  const n = query.get('n') ?? String(pageMax)
  if (!/^\d+$/.test(n))
    throw refusal(400, 'UNSUPPORTED', `n has to be a whole number: ${JSON.stringify(n.slice(0, 50))}`)
  const last = query.get('last') ?? ''
  return { limit: Math.min(Number(n), pageMax), after: last === '' ? {} : { after: last } }
}

function nextLink(path: string, more: boolean, limit: number, last: string | undefined): { Link?: string } {
  if (!more || last === undefined) return {}
  return { Link: `<${path}?last=${encodeURIComponent(last)}&n=${limit}>; rel="next"` }
}
