import { RemoteError } from '../lib/errors.ts'
import type { Answer } from './answer.ts'

/**
 * The target of `rel=next`, as it was written. https://www.rfc-editor.org/rfc/rfc8288#section-3; some registries send it
 * without angle brackets or quotes.
 */
export function nextLink(headers: readonly string[]): string | undefined {
  for (const header of headers) {
    for (const match of header.matchAll(/<([^>]*)>((?:[^",<]|"[^"]*")*)/g)) {
      const relation = /;\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,]+))/i.exec(match[2]!)
      const relations = (relation?.[1] ?? relation?.[2] ?? '').toLowerCase().split(/\s+/)
      if (relations.includes('next')) return match[1]
    }
  }
  return undefined
}

export interface PageOptions<T> {
  first: string
  origin: string
  host: string
  what: string
  maxPages: number
  fetch: (url: string | URL) => Promise<{ items: T[]; answer: Answer }>
}

/** Every item of every page. Throws RemoteError `protocol` for a list that leaves the registry or does not end. */
export async function* itemsOf<T>(options: PageOptions<T>): AsyncGenerator<T, void, undefined> {
  const { host, what, origin, maxPages } = options
  const refuse = (why: string) => new RemoteError('protocol', `cannot ${what}: ${host} ${why}`, { host })
  let url = new URL(options.first, origin)
  const seen = new Set<string>()
  for (let page = 1; ; page++) {
    if (page > maxPages) throw refuse(`sends more than ${maxPages} pages`)
    if (seen.has(url.href)) throw refuse('sends the same page again')
    seen.add(url.href)
    const { items, answer } = await options.fetch(url)
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
