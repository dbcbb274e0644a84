import type semver from 'semver'
import { ConfigError } from './errors.ts'
import { loadPackage } from './load.ts'

function npm(): typeof semver {
  return loadPackage('semver') as typeof semver
}

/** https://semver.org. Read here and not by the library, which takes many times as long for lists of thousands. */
export interface Version {
  major: number
  minor: number
  patch: number
  prerelease: readonly string[]
  hasBuild: boolean
}

/** What follows the numbers. A tag cannot hold the `+` before a build: Helm writes `_`, https://helm.sh/docs/topics/registries/ */
const rest = '(?:-([0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*))?([_+][0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*)?$'
const strict = new RegExp(`^v?(0|[1-9]\\d*)\\.(0|[1-9]\\d*)\\.(0|[1-9]\\d*)${rest}`)
const loose = new RegExp(`(?:^|[_-])v?(\\d+)(?:\\.(\\d+))?(?:\\.(\\d+))?${rest}`)

/** A full version, with or without a `v` before it; undefined for anything looser. */
export function parseVersion(text: string): Version | undefined {
  const version = versionOf(strict.exec(text))
  return version?.prerelease.some((part) => /^0\d+$/.test(part)) === true ? undefined : version
}

/**
 * What a person would call the version in a name: `1.2`, `v1`, `2024.06.01`, the `1.2.3` in `prod-1.2.3`. What is missing is 0,
 * zeros before a number do not count.
 */
export function findVersion(text: string): Version | undefined {
  return versionOf(loose.exec(text))
}

function versionOf(match: RegExpExecArray | null): Version | undefined {
  if (match === null) return undefined
  const [, major, minor = 0, patch = 0, prerelease, build] = match
  const numbers = [Number(major), Number(minor), Number(patch)] as const
  if (!numbers.every(Number.isSafeInteger)) return undefined
  return {
    major: numbers[0],
    minor: numbers[1],
    patch: numbers[2],
    prerelease: prerelease === undefined ? [] : prerelease.split('.'),
    hasBuild: build !== undefined,
  }
}

/** By precedence: https://semver.org/#spec-item-11. Build metadata does not count. */
export function compareVersions(a: Version, b: Version): number {
  return a.major - b.major || a.minor - b.minor || a.patch - b.patch || comparePrereleases(a.prerelease, b.prerelease)
}

function comparePrereleases(a: readonly string[], b: readonly string[]): number {
  if (a.length === 0 || b.length === 0) return b.length - a.length
  for (let at = 0; at < Math.min(a.length, b.length); at++) {
    const order = npm().compareIdentifiers(a[at], b[at])
    if (order !== 0) return order
  }
  return a.length - b.length
}

export interface VersionRange {
  /** Whether a version is in it; a prerelease only where the range names one of the same numbers. */
  has(version: Version): boolean
  /** As `has`, as if a prerelease were a version like any other. */
  spans(version: Version): boolean
}

/** https://github.com/npm/node-semver#ranges. Throws ConfigError. */
export function parseRange(text: string): VersionRange {
  const [usual, wide] = [readRange(text, false), readRange(text, true)]
  return {
    has: (version) => usual.some((bounds) => isWithin(version, bounds) && mayBePrerelease(version, bounds)),
    spans: (version) => wide.some((bounds) => isWithin(version, bounds)),
  }
}

interface Bound {
  operator: string
  version: Version
}

/** Lists of bounds that hold together, of which one list has to. */
function readRange(text: string, includePrerelease: boolean): Bound[][] {
  try {
    return new (npm().Range)(text, { includePrerelease }).set.map(boundsOf)
  } catch {
    throw new ConfigError(`not a range of versions: "${text.slice(0, 100)}"`, {
      code: 'bad_range',
      hint: 'Write it as npm does: ^1.2, ~1.2.3, >=1.0.0 <2, 1.x, or * for any.',
    })
  }
}

function boundsOf(comparators: semver.Range['set'][number]): Bound[] {
  const { SemVer } = npm()
  // The one that any version satisfies has a symbol in place of a version.
  return comparators
    .filter((comparator) => comparator.semver instanceof SemVer)
    .map(({ operator, semver: { major, minor, patch, prerelease } }) => ({
      operator: operator,
      version: { major, minor, patch, prerelease: prerelease.map(String), hasBuild: false },
    }))
}

function isWithin(version: Version, bounds: readonly Bound[]): boolean {
  return bounds.every((bound) => {
    const order = compareVersions(version, bound.version)
    if (bound.operator === '>') return order > 0
    if (bound.operator === '>=') return order >= 0
    if (bound.operator === '<') return order < 0
    if (bound.operator === '<=') return order <= 0
    return order === 0
  })
}

/** https://github.com/npm/node-semver#prerelease-tags */
function mayBePrerelease({ prerelease, major, minor, patch }: Version, bounds: readonly Bound[]): boolean {
  if (prerelease.length === 0) return true
  return bounds.some(
    ({ version }) =>
      version.prerelease.length > 0 && version.major === major && version.minor === minor && version.patch === patch,
  )
}
