import { RemoteError } from '../lib/errors.ts'
import type { Answer } from './answer.ts'
import { callTo, type Context, type ListedPage } from './context.ts'
import { parseJsonObject } from './json.ts'
import { bareMediaType } from './manifest.ts'
import { nextLink } from './link.ts'
import { boundsOf, documentOf, itemsOf, pageOf } from './pages.ts'
import { isRepositoryName, isTag } from './reference.ts'
import { catalogScope } from './scope.ts'

export interface TagPage {
  tags: string[]
  /** The `last` of the following page; undefined when this is the last one. */
  next?: string
}

/** What the largest registries give at one time; without it, some give a hundred. */
const pageLength = 1_000

/**
 * All tags in lexical order, whatever order the registry has: some list by age. A page that did not change since it was last
 * asked for by the same context does not come again, where the registry sends ETags.
 */
export async function* listTags(context: Context, signal?: AbortSignal): AsyncGenerator<string, void, undefined> {
  const path = `/v2/${context.site.repository}/tags/list?n=${pageLength}`
  const before = context.listed
  const listed = new Map<string, ListedPage>()
  const names = await sorted(context, path, what(context), async (url) => {
    const known = before?.get(String(url))
    const page = await fetchTags(context, url, signal, known)
    if (page.etag !== undefined)
      listed.set(String(url), { ...page, etag: page.etag, links: page.answer.headers('link') })
    return page
  })
  context.listed = listed
  yield* names
}

/** https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags */
export async function tagPage(
  context: Context,
  page: { n: number; last?: string },
  signal?: AbortSignal,
): Promise<TagPage> {
  const query = new URLSearchParams({ n: String(page.n), ...(page.last === undefined ? {} : { last: page.last }) })
  const { items, answer } = await fetchTags(
    context,
    `/v2/${context.site.repository}/tags/list?${query.toString()}`,
    signal,
  )
  const link = nextLink(answer.headers('link'))
  const next = link === undefined ? undefined : (URL.parse(link, answer.url)?.searchParams.get('last') ?? items.at(-1))
  return { tags: items, ...(next === undefined ? {} : { next }) }
}

/** Names of repositories, in lexical order; registries for many users refuse. `context` needs no repository. */
export async function* listCatalog(context: Context, signal?: AbortSignal): AsyncGenerator<string, void, undefined> {
  const tried = `list the repositories of ${context.site.host}`
  const parts = { scopes: [catalogScope], signal }
  yield* await sorted(context, '/v2/_catalog', tried, (url) =>
    fetchList(context, url, 'repositories', tried, parts, isRepositoryName),
  )
}

interface List {
  items: string[]
  /** Of the page. */
  bytes: number
  etag: string | undefined
  answer: Pick<Answer, 'headers' | 'redirected' | 'url'>
}

function fetchTags(
  context: Context,
  url: string | URL,
  signal: AbortSignal | undefined,
  known?: ListedPage,
): Promise<List> {
  return fetchList(context, url, 'tags', what(context), { signal, ...(known && { known }) }, isTag)
}

async function fetchList(
  context: Context,
  url: string | URL,
  field: 'tags' | 'repositories',
  tried: string,
  { known, ...parts }: { scopes?: string[]; signal: AbortSignal | undefined; known?: ListedPage },
  isValid: (name: string) => boolean,
): Promise<List> {
  const { host, limits } = context.site
  const refuse = (why: string) => new RemoteError('protocol', `cannot ${tried}: ${host} ${why}`, { host, status: 200 })
  const asked = known === undefined ? { ok: [200] } : { ok: [200, 304], headers: { 'if-none-match': known.etag } }
  const call = { ...callTo(context, '', { method: 'GET', what: tried, ...asked, ...parts }), url }
  return context.transport.use(context.site, call, async (answer) => {
    if (known !== undefined && answer.status === 304) {
      await answer.discard()
      const { redirected, url } = answer
      return { items: known.items, bytes: 0, etag: known.etag, answer: { redirected, url, headers: () => known.links } }
    }
    const type = bareMediaType(answer.header('content-type') ?? 'application/json')
    if (!/[/+]json$/.test(type)) {
      await answer.discard()
      throw refuse(`answered with "${type.slice(0, 100)}", not with JSON`)
    }
    const bytes = await pageOf(answer, limits, refuse)
    const list = documentOf(bytes, answer, (page) => parseJsonObject(page, 'its answer'), refuse)[field] ?? []
    if (!Array.isArray(list)) throw refuse(`answered without a list of ${field}`)
    // A name that breaks the grammar could not be asked for, and might not be a name at all.
    const items = list.filter((name): name is string => typeof name === 'string' && isValid(name))
    return { items, bytes: bytes.length, etag: answer.header('etag'), answer }
  })
}

async function sorted(
  context: Context,
  first: string,
  tried: string,
  fetch: (url: string | URL) => Promise<List>,
): Promise<string[]> {
  const { host, origin, limits } = context.site
  const all = new Set<string>()
  const pages = itemsOf({ first, origin, host, what: tried, ...boundsOf(limits), fetch })
  for await (const item of pages) all.add(item)
  return [...all].sort((a, b) => (a < b ? -1 : 1))
}

function what({ site }: Context): string {
  return `list the tags of ${site.host}/${site.repository}`
}
