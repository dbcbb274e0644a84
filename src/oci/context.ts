import type { Clock } from '../lib/clock.ts'
import type { Action } from './scope.ts'
import { repositoryScope } from './scope.ts'
import type { Digest } from './digest.ts'
import type { Descriptor } from './target.ts'
import type { Call, Site, Transport } from './transport.ts'
import type { Turns } from './turns.ts'

/** What everything that speaks to one repository needs. */
export interface Context {
  transport: Transport
  site: Site
  clock: Clock
  random: () => number
  /** Shared by all repositories of a client: tag indexes are read, changed and written by one at a time. */
  turns: Turns
  /** What was fetched because a HEAD did not say all of it: the next HEAD with the same digest says enough. Undefined before. */
  fetched: Map<Digest, Descriptor> | undefined
  /** Pages of the list of tags, by their URL, as they were when it was listed last: for asking whether they changed. Undefined before. */
  listed: Map<string, ListedPage> | undefined
}

export interface ListedPage {
  etag: string
  items: string[]
  /** The values of its `Link` headers. */
  links: string[]
}

export type CallParts = Pick<Call, 'method' | 'what' | 'ok'> & Partial<Call> & { actions?: Action[] }

/** A call to something inside of the repository: `path` follows its name. */
export function callTo({ site }: Context, path: string, { actions = ['pull'], ...parts }: CallParts): Call {
  const { repository } = site
  return {
    url: `/v2/${repository}/${path}`,
    lane: 'metadata',
    scopes: [repositoryScope(repository, ...actions)],
    ...parts,
  }
}

/** `ghcr.io/acme/app:1`, for messages. */
export function named({ site }: Context, reference: string): string {
  return `${site.host}/${site.repository}${reference.includes(':') ? '@' : ':'}${reference}`
}
