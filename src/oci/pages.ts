import { IntegrityError, RemoteError } from '../lib/errors.ts'
import { formatSize } from '../lib/units.ts'
import type { Answer } from './answer.ts'
import type { Limits } from './limits.ts'
import { nextLink } from './link.ts'

export interface PageOptions<T> {
  first: string
  origin: string
  host: string
  what: string
  maxPages: number
  /** Over all pages. */
  maxBytes: number
  fetch: (
    url: string | URL,
  ) => Promise<{ items: T[]; bytes: number; answer: Pick<Answer, 'headers' | 'redirected' | 'url'> }>
}

/** Every item of every page. Throws RemoteError `protocol` for a list that leaves the registry or does not end. */
export async function* itemsOf<T>(options: PageOptions<T>): AsyncGenerator<T, void, undefined> {
  const { host, what, origin, maxPages, maxBytes } = options
  const refuse = (why: string) => new RemoteError('protocol', `cannot ${what}: ${host} ${why}`, { host })
  let url = new URL(options.first, origin)
  const seen = new Set<string>()
  let received = 0
  for (let page = 1; ; page++) {
    if (page > maxPages) throw refuse(`sends more than ${maxPages} pages`)
    if (seen.has(url.href)) throw refuse('sends the same page again')
    seen.add(url.href)
    const { items, bytes, answer } = await options.fetch(url)
    received += bytes
    if (received > maxBytes) throw refuse(`sends a list of more than ${formatSize(maxBytes)}`)
    yield* items
    const next = nextLink(answer.headers('link'))
    if (next === undefined) return
    try {
      url = new URL(next, answer.redirected ? url : answer.url)
    } catch {
      throw refuse('names a next page that is no URL')
    }
    if (url.origin !== origin) throw refuse(`names a next page at ${url.host}`)
  }
}

export function boundsOf({ pages, listBytes }: Limits): Pick<PageOptions<unknown>, 'maxPages' | 'maxBytes'> {
  return { maxPages: pages, maxBytes: listBytes }
}

type Refuse = (why: string) => RemoteError

/** The body of one page. What is wrong with a list is its server's fault, not that of any content. */
export async function pageOf(answer: Answer, { metadataBytes }: Limits, refuse: Refuse): Promise<Buffer> {
  const bytes = await answer.bytes(metadataBytes + 1, { cut: true })
  if (bytes.length > metadataBytes) throw refuse(`answered with more than ${formatSize(metadataBytes)}`)
  return bytes
}

export function documentOf<T>(page: Buffer, answer: Answer, read: (page: Buffer) => T, refuse: Refuse): T {
  try {
    return read(page)
  } catch (error) {
    const encoding = answer.encoding()
    const how = encoding === undefined ? '' : ` (Content-Encoding: ${encoding})`
    if (error instanceof IntegrityError) throw refuse(`answered with something else${how}: ${error.message}`)
    throw error
  }
}
