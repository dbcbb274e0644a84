import { counted } from '../lib/units.ts'
import { everyBundle, type PinTo, type Word } from '../model/decision.ts'
import type { Explanation, PlaceVerdict, TagsExplained } from '../model/explain.ts'
import type { Verdict } from '../model/follow.ts'
import { describeWaiting, type Promotion } from '../model/promotion.ts'
import type { Look } from '../model/release.ts'
import type { BundleStatus } from '../model/status.ts'
import { isDigest } from '../oci/digest.ts'
import { fields, formatAge, oneLine, shortDigest } from './format.ts'
import type { Output } from './output.ts'

const tagWidth = 48

/** What counts, what is served, what the last look said; then every tag and every place with its reason. */
export function describeExplanation({ bundle, tags, places }: Explanation, now: number, output: Output): string[] {
  const about = fields([
    ['bundle', bundle.name],
    ['store', bundle.store],
    ['counts', describeCounts(bundle, now)],
    ['serves', describeServed(bundle, now)],
    ...(bundle.promotion === null
      ? []
      : [['promotes', describePromotion(bundle.promotion, bundle.name, now)] as const]),
    ['last look', describeLast(bundle.look, now)],
  ])
  const reasons = places.map(({ place, verdict }) => [place, oneLine(describePlace(verdict, bundle.name, now))])
  const goes = reasons.length === 0 ? [] : ['', ...output.table([['PLACE', 'WHY'], ...reasons])]
  return [...about.map((line) => oneLine(line)), ...goes, '', ...describeTags(tags, bundle.name, now, output)]
}

/** `semver ^1, as the config says`, `v1.4.2, pinned by ann 3m ago: why, instead of semver ^1`. */
function describeCounts({ pin, follow, promotion }: BundleStatus, now: number): string {
  if (pin === null && promotion !== null) return `what is promoted from ${promotion.from}`
  if (pin === null) return `${follow}, as the config says`
  return `${nameOfPin(pin.to)}, pinned ${describeWord(pin, now)}; the config says ${follow}`
}

function nameOfPin(to: PinTo): string {
  if ('tag' in to) return to.tag
  return 'release' in to ? `release ${to.release}` : to.digest
}

function describeServed({ current }: BundleStatus, now: number): string {
  if (current === null) return 'nothing yet'
  const { number, version, activatedAt, reason } = current
  return `${version}, release ${number}, since ${formatAge(now - activatedAt)} (${reason})`
}

/** `release 3 of authz at staging; release 4 (v1.5.0) waits 35m more, and for an approval: longshore approve authz-prod`. */
export function describePromotion({ from, place, promoted, waiting }: Promotion, name: string, now: number): string {
  const where = place === null ? from : `${from} at ${place}`
  const counts = promoted === null ? `nothing yet from ${where}` : `release ${promoted} from ${where}`
  if (waiting === null) return counts
  const next = describeWaiting(waiting, place, (at) => `${formatAge(Math.max(0, at - now))} more`)
  return `${counts}; ${next}${waiting.needsApproval ? `: longshore approve ${name}` : ''}`
}

function describeLast(look: Look | null, now: number): string {
  if (look === null) return 'none yet'
  const { outcome, message, endedAt, version } = look
  const what = message ?? (version === null ? outcome : `${outcome}, ${version}`)
  return `${formatAge(now - endedAt)} ago: ${message === null ? what : `${outcome}: ${what}`}`
}

function describeTags(
  { follow, askedAt, total, verdicts, error }: TagsExplained,
  name: string,
  now: number,
  output: Output,
): string[] {
  if (error !== null) return [oneLine(`the tags are not known: ${error.message}`)]
  const age = askedAt === null ? '' : `, as listed ${formatAge(now - askedAt)} ago`
  if (total === 0) return [`no tags${age}`]
  const rows = verdicts.map(({ tag, verdict }) => [oneLine(tag, tagWidth), oneLine(describeVerdict(verdict))])
  const left = total - verdicts.length
  return [
    ...output.table([['TAG', `WHY (${isDigest(follow) ? shortDigest(follow) : oneLine(follow)})`], ...rows]),
    ...(left > 0 ? [`and ${left} more: longshore explain ${name} --all`] : []),
    `${counted(isDigest(follow) ? total - 1 : total, 'tag')}${age}`,
  ]
}

/** A sentence for each code, here alone. */
export function describeVerdict(verdict: Verdict): string {
  switch (verdict.code) {
    case 'taken':
      return 'this is what counts'
    case 'older_than':
      return `older than ${verdict.tag}`
    case 'same_version_as':
      return `the same version as ${verdict.tag}`
    case 'step_down':
      return `older than ${verdict.tag}, which ran and is gone: never a step down by itself`
    case 'not_a_version':
      return 'not a version'
    case 'prerelease':
      return 'a prerelease, and those were not asked for'
    case 'outside_range':
      return `outside ${verdict.range}`
    case 'no_match':
      return `does not match ${verdict.pattern}`
    case 'no_number':
      return 'has no number to order it by'
    case 'no_time':
      return 'does not say when it was made'
    case 'gone':
      return 'gone: the store does not have it'
    case 'not_followed':
      return isDigest(verdict.follow)
        ? `not followed: ${shortDigest(verdict.follow)} is, whatever its tags`
        : `not followed: only ${verdict.follow} is`
    case 'not_promoted':
      return `not promoted from ${verdict.from}`
  }
}

/** A sentence for each code, here alone. */
export function describePlace(verdict: PlaceVerdict, bundle: string, now: number): string {
  switch (verdict.code) {
    case 'up_to_date':
      return `up to date with release ${verdict.release}`
    case 'no_release':
      return 'waits for the first release'
    case 'held': {
      const { hold } = verdict
      const resume = hold.bundle === everyBundle ? 'longshore resume' : `longshore resume ${bundle}`
      return `held ${describeWord(hold, now)}; go on with: ${resume}`
    }
    case 'auto_deploy_off':
      return verdict.switched === null
        ? 'auto-deploy is off, as the config says'
        : `auto-deploy is off, switched ${describeWord(verdict.switched, now)}`
    case 'deploying':
      return `release ${verdict.release} is being deployed, attempt ${verdict.attempt}`
    case 'failed': {
      const { release, attempts, error, againAt } = verdict
      const again = againAt === null ? ', given up' : `, again in ${formatAge(Math.max(0, againAt - now))}`
      const what = attempts === 0 ? 'was not tried yet' : `failed ${counted(attempts, 'time')}`
      return `release ${release} ${what}${again}: ${error}`
    }
    case 'drifted':
      return `changed by somebody else: ${verdict.error}`
    case 'waiting':
      return `release ${verdict.release} waits for its turn`
  }
}

/** `by ann 3m ago: change freeze`. */
function describeWord({ by, at, reason }: Word, now: number): string {
  return `by ${by} ${formatAge(now - at)} ago${reason === '' ? '' : `: ${reason}`}`
}
