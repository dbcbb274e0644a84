import { counted } from '../lib/units.ts'
import { everyBundle, type Hold } from '../model/decision.ts'
import type { Deployment } from '../model/deployment.ts'
import type { LeftStatus } from '../model/placement.ts'
import { describeWaiting, type Promotion, type Waiting } from '../model/promotion.ts'
import type { Look } from '../model/release.ts'
import type { BundleStatus, PlaceStatus } from '../model/status.ts'
import { formatAge, oneLine } from './format.ts'
import type { Output } from './output.ts'

/** Beyond these widths a cell is cut on a terminal, so that the usual line stays within eighty columns. What reads a pipe gets all. */
const nameWidth = 28
const versionWidth = 20
const placesWidth = 28
/** With the thirty bundles and the heading they still fit on one screen. */
const shownReasons = 5

/** A line per bundle, then why some are not well. */
export function describeStatus(
  bundles: readonly BundleStatus[],
  now: number,
  output: Output,
  left: readonly LeftStatus[] = [],
): string[] {
  if (bundles.length === 0)
    return ['no bundles are configured', ...describeReasons([], left, now, output.columns ?? Infinity)]
  const columns = output.columns ?? Infinity
  const cut = (text: string, width: number) => oneLine(text, columns === Infinity ? Infinity : width)
  const rows = bundles.map((bundle) => rowOf(bundle, now, cut))
  const lines = output.table([['NAME', 'VERSION', 'AGE', 'HEALTH', 'NEXT LOOK', 'PLACES'], ...rows])
  const painted = lines.map((full, index) => {
    const line = oneLine(full, columns)
    const health = bundles[index - 1]?.health
    return health === undefined || health === 'ok' ? line : output.paintResult(health === 'stale' ? '33' : '31', line)
  })
  return [...painted, ...describeReasons(bundles, left, now, columns)]
}

type Cut = (text: string, width: number) => string

function rowOf(bundle: BundleStatus, now: number, cut: Cut): string[] {
  const { name, current, health } = bundle
  return [
    cut(name, nameWidth),
    describeVersion(bundle, cut),
    current === null ? '-' : formatAge(now - current.activatedAt),
    health,
    describeNextLook(bundle, now),
    cut(describePlaces(bundle.deployments), placesWidth),
  ]
}

function describeVersion({ current, pin }: BundleStatus, cut: Cut): string {
  const version = current === null ? '-' : cut(current.version, versionWidth)
  return pin === null ? version : `${version} (pinned)`
}

function describeNextLook({ looking, nextLookAt }: BundleStatus, now: number): string {
  if (looking) return 'now'
  if (nextLookAt === null) return 'when asked'
  return nextLookAt <= now ? 'due' : `in ${formatAge(nextLookAt - now)}`
}

/** `2 done`, `1 of 2, zones failed`; `off` where nothing goes by itself. */
export function describePlaces(deployments: readonly PlaceStatus[]): string {
  if (deployments.length === 0) return '-'
  const others = deployments.filter(({ state }) => state !== 'done')
  const done = deployments.length - others.length
  const off = deployments.filter(({ autoDeploy, state }) => !autoDeploy && state === 'done')
  const count = others.length === 0 ? `${done} done` : `${done} of ${deployments.length}`
  return [count, ...[...others, ...off].map(describePlace)].join(', ')
}

function describePlace({ place, state, autoDeploy }: PlaceStatus): string {
  return autoDeploy || state === 'deploying' || state === 'drifted' ? `${place} ${state}` : `${place} off`
}

/** When it is tried again comes first: errors are long. */
function describeFailure(
  bundle: string,
  { place, state, lastError, nextAttemptAt, attempts }: Deployment,
  now: number,
): string[] {
  if (lastError === null) return []
  const isGivenUp = state === 'failed' && nextAttemptAt === null
  const last = isGivenUp ? `, given up after ${counted(attempts, 'attempt')}` : ''
  const next = nextAttemptAt === null ? last : `, again in ${formatAge(Math.max(0, nextAttemptAt - now))}`
  return [`${bundle} to ${place}${next}: ${lastError}`]
}

function describeHold(name: string, { bundle, by, reason }: Hold): string {
  const why = reason === '' ? `held by ${by}` : reason
  const what = bundle === everyBundle ? 'longshore resume' : `longshore resume ${name}`
  return `${name} is not deployed: ${why}; go on with: ${what}`
}

/** Nothing came yet since something waits: the last look says no more than that. */
function isWaiting(promotion: Promotion | null, look: Look): boolean {
  return promotion !== null && promotion.promoted === null && promotion.waiting !== null && look.code === 'not_found'
}

/** What comes next to a bundle that takes what is promoted. */
function describeNext(name: string, place: string | null, waiting: Waiting, now: number): string {
  const next = describeWaiting(waiting, place, (at) => `${formatAge(Math.max(0, at - now))} more`)
  return `${name}: ${next}${waiting.needsApproval ? `: longshore approve ${name}` : ''}`
}

/** What could not be taken away from a place that left the config; what stays there on purpose is not said. */
function describeLeft({ bundle, place, lastError, nextAttemptAt, attempts }: LeftStatus, now: number): string[] {
  if (lastError === null) return []
  const given = `given up after ${counted(attempts, 'attempt')}`
  const next = nextAttemptAt === null ? given : `again in ${formatAge(Math.max(0, nextAttemptAt - now))}`
  return [`${bundle} is not taken away from ${place}, ${next}: ${lastError}`]
}

function describeReasons(
  bundles: readonly BundleStatus[],
  left: readonly LeftStatus[],
  now: number,
  columns: number,
): string[] {
  const ofBundles = bundles.flatMap(({ name, health, look, deployments, held, promotion }) => [
    ...(health !== 'ok' && look?.message && !isWaiting(promotion, look) ? [`${name}: ${look.message}`] : []),
    ...(promotion?.waiting == null ? [] : [describeNext(name, promotion.place, promotion.waiting, now)]),
    ...(held === null ? [] : [describeHold(name, held)]),
    ...deployments.flatMap((deployment) => describeFailure(name, deployment, now)),
  ])
  const reasons = [...ofBundles, ...left.flatMap((one) => describeLeft(one, now))]
  if (reasons.length === 0) return []
  const shown = reasons.slice(0, shownReasons).map((reason) => oneLine(reason, columns))
  const more = reasons.length - shown.length
  return ['', ...shown, ...(more > 0 ? [`and ${more} more: longshore status --json`] : [])]
}
