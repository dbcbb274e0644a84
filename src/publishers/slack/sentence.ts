import { formatDuration } from '../../lib/units.ts'
import { everyBundle } from '../../model/decision.ts'
import type { Event, EventType } from '../../model/event.ts'

const maxQuotedChars = 500
/** Nobody asked for it: it was new. */
const byItself = ' by itself'

/** What a person reads of an event; undefined for those that others say as well. */
export function sentenceOf(event: Event): string | undefined {
  const sentence = sentences[event.type]?.(wordsOf(event))
  return sentence && `${sentence}${becauseOf(event)}`
}

interface Words {
  /** The bundle, and where. */
  what: string
  version: string
  by: string
  took: string
  place: string
  data: Event['data']
}

/** A beginning is told with its end, what a person asked for with how that went. */
const sentences: Partial<Record<EventType, (words: Words) => string | undefined>> = {
  'release.created': ({ what, version }) => `${what}: ${version} is served`,
  'release.approved': ({ what, version, by, data }) =>
    `${version} of ${String(data.from)} was approved for ${what}${by}`,
  'look.refused': ({ what, version, data }) => `${what}: ${version} was refused: ${quoted(data.error)}`,
  'look.failed': ({ what, data }) => `${what} could not be looked at: ${quoted(data.error)}`,
  'look.recovered': ({ what }) => `${what} can be looked at again`,
  'deployment.succeeded': ({ what, version, by, took, place, data }) =>
    `${what}: ${change(data, version)} is deployed to ${place}${by || byItself}${took}${inVain(data)}`,
  'deployment.failed': failure,
  'deployment.overtaken': ({ what, version, place, took, data }) =>
    `${what}: ${version} did not get to ${place}${took}${inVain(data)}: ${named(data.nextVersion, data.next)} goes there instead`,
  'deployment.drifted': ({ what, version, place, data }) =>
    `${what}: at ${place} is no longer ${version}, which was deployed there: ${quoted(data.error)}`,
  'prune.succeeded': ({ what, place }) => `${what} was taken away from ${place}, which left the config`,
  'prune.failed': ({ what, place, data }) =>
    data.attempt === 1 ? `${what} could not be taken away from ${place}: ${quoted(data.error)}` : undefined,
  'bundle.pinned': ({ what, by, data }) => `${what} was pinned to ${pinned(data.pin)}${by}`,
  'bundle.unpinned': ({ what, by }) => `${what} was unpinned${by}`,
  'auto_deploy.changed': ({ what, place, by, data }) =>
    `Auto-deploy of ${what}${place === '' ? '' : ` to ${place}`} was switched ${data.on === true ? 'on' : 'off'}${by}`,
  'deployments.held': ({ what, by }) => `Deployments of ${what} are held${by}`,
  'deployments.resumed': ({ what, by }) => `Deployments of ${what} go on${by}`,
}

/** The first time, and where it is the last: tries between them are no news. */
function failure({ what, version, by, took, place, data }: Words): string | undefined {
  const isLast = typeof data.nextAttemptAt !== 'number'
  if (!isLast && data.failures !== 1) return undefined
  const next = isLast ? 'It is not tried again.' : 'It will be tried again.'
  return `${what}: ${change(data, version)} could not be deployed to ${place}${by || byItself}${took}: ${quoted(data.error)}. ${next}`
}

function wordsOf({ bundle, place, by, data }: Event): Words {
  return {
    what: bundle === everyBundle ? 'all bundles' : bundle,
    version: named(data.version, data.release),
    by: by === null ? '' : ` by ${by}`,
    took: typeof data.tookMs === 'number' ? `, after ${formatDuration(data.tookMs)}` : '',
    place: place ?? '',
    data,
  }
}

/** `v1 → v2 (release 4)`. */
function change({ from, fromVersion }: Event['data'], version: string): string {
  return from === null || from === undefined ? version : `${named(fromVersion, from)} → ${version}`
}

function named(version: unknown, release: unknown): string {
  const number = typeof release === 'number' ? `release ${release}` : ''
  if (typeof version !== 'string') return number || 'a version'
  return number === '' ? version : `${version} (${number})`
}

function inVain({ failures }: Event['data']): string {
  if (typeof failures !== 'number' || failures === 0) return ''
  return failures === 1 ? ' and an attempt in vain' : ` and ${failures} attempts in vain`
}

function pinned(pin: unknown): string {
  const to = (pin ?? {}) as { tag?: string; release?: number; digest?: string }
  return to.tag ?? to.digest ?? `release ${to.release}`
}

function becauseOf({ by, data: { reason } }: Event): string {
  return by !== null && typeof reason === 'string' && reason !== '' ? `: ${quoted(reason)}` : ''
}

function quoted(text: unknown): string {
  return (typeof text === 'string' ? text : 'for no known reason')
    .replaceAll(/\s+/g, ' ')
    .trim()
    .slice(0, maxQuotedChars)
}
