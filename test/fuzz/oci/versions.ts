import fc from 'fast-check'
import semver from 'semver'
import { ConfigError } from '../../../src/lib/errors.ts'
import { compareVersions, findVersion, parseRange, parseVersion } from '../../../src/lib/version.ts'
import { pumped } from '../mutate/pumped.ts'
import { hostileText } from '../mutate/text.ts'
import { ok, outcome, property, same } from '../property.ts'

/** The specification of registries allows no longer tag. */
const longestTag = 128

/** Few, so that two of them are often equal. */
const numbers = fc.oneof({ weight: 19, arbitrary: fc.nat({ max: 1 }) }, { weight: 1, arbitrary: fc.nat() })
const identifiers = fc.oneof(
  fc.nat({ max: 20 }).map(String),
  fc.stringMatching(/^[0-9A-Za-z-]{1,4}$/).filter((text) => !/^0\d+$/.test(text)),
)
const versions = fc.record({
  prefix: fc.constantFrom('', 'v'),
  core: fc.tuple(numbers, numbers, numbers),
  prerelease: fc.oneof(fc.constant([]), fc.array(identifiers, { maxLength: 3 })),
  build: fc.constantFrom('', '', '+b.01', '_b-1'),
})
type Written = typeof versions extends fc.Arbitrary<infer T> ? T : never

const textOf = ({ prefix, core, prerelease, build }: Written) =>
  `${prefix}${core.join('.')}${prerelease.length === 0 ? '' : `-${prerelease.join('.')}`}${build}`
/** As npm writes it, which has `+` where a tag has `_`. */
const asNpm = (text: string) => text.replace('_', '+')
const texts = versions.map(textOf)
const tokens = ['v', '.', '-', '_', '+', '0', '00', '1.2', 'rc.1', '=', 'x', '*', '9'.repeat(20)]

const bounds = fc
  .tuple(fc.constantFrom('', '=', '>', '>=', '<', '<=', '^', '~'), texts.map(asNpm))
  .map((parts) => parts.join(''))
const ranges = fc.oneof(
  bounds,
  fc.tuple(bounds, fc.constantFrom(' ', ' || '), bounds).map((parts) => parts.join('')),
  fc.constantFrom('^1.2', '>=1.0.0 <2', '1.x', '*', '1 - 2'),
)
const rangeTokens = [...tokens, '^', '~', '>', '>=', '<', '<=', '||', ' - ', ' ', 'X']

export const versionProperties = [
  property('versions that were written', fc.tuple(versions, fc.constantFrom('', 'prod-', 'a_')), ([written, front]) => {
    const text = textOf(written)
    const [major, minor, patch] = written.core
    const expected = { major, minor, patch, prerelease: written.prerelease, hasBuild: written.build !== '' }
    same(parseVersion(text), expected)
    same(findVersion(`${front}${text}`), expected)
    // What is missing is 0.
    const plain = { major, minor: 0, patch: 0, prerelease: [], hasBuild: false }
    same(findVersion(`${front}${major}`), plain)
    same(findVersion(`${front}${major}.${minor}`), { ...plain, minor })
  }),
  property('versions', hostileText(texts, tokens), (text) => {
    const found = parseVersion(text)
    // It takes the blanks around a version, and nothing longer than 256.
    if (text.trim() === text && text.length <= 256) {
      const known = semver.parse(asNpm(text))
      const { major, minor, patch, prerelease } = known ?? {}
      same(
        found && { ...found, hasBuild: undefined },
        known === null ? undefined : { major, minor, patch, prerelease: prerelease?.map(String), hasBuild: undefined },
      )
    }
    if (found !== undefined) same(findVersion(text), found)
  }),
  property('order of versions', fc.tuple(versions, versions), ([one, other]) => {
    const [a, b] = [parseVersion(textOf(one))!, parseVersion(textOf(other))!]
    same(Math.sign(compareVersions(a, b)), semver.compare(asNpm(textOf(one)), asNpm(textOf(other))))
    ok(compareVersions(a, b) === 0 || Math.sign(compareVersions(a, b)) === -Math.sign(compareVersions(b, a)))
  }),
  property('ranges of versions', fc.tuple(hostileText(ranges, rangeTokens), versions), ([text, written]) => {
    const range = outcome(() => parseRange(text), ConfigError, ['bad_range'])
    same(range === undefined, semver.validRange(text) === null)
    if (range === undefined) return
    const [version, name] = [parseVersion(textOf(written))!, asNpm(textOf(written))]
    same(range.has(version), semver.satisfies(name, text))
    same(range.spans(version), semver.satisfies(name, text, { includePrerelease: true }))
  }),
  property('long versions', pumped(texts, tokens, { maxLength: longestTag }), (text) => {
    parseVersion(text)
    findVersion(text)
  }),
  property('long ranges of versions', pumped(ranges, rangeTokens, { maxLength: 10_000 }), (text) => {
    outcome(() => parseRange(text), ConfigError, ['bad_range'])
  }),
]
