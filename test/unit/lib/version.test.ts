import fc from '../../support/fast-check.ts'
import semver from 'semver'
import { describe, expect, it } from 'vitest'
import { compareVersions, findVersion, parseRange, parseVersion } from '../../../src/lib/version.ts'

const part = fc.oneof(fc.nat(12).map(String), fc.constantFrom('rc', 'alpha', 'a-b', '-', '0a', '01', ''))
const text = fc
  .tuple(
    fc.constantFrom('', 'v', 'V', '='),
    fc.array(part, { minLength: 1, maxLength: 4 }),
    fc.array(part, { maxLength: 3 }),
  )
  .map(([prefix, numbers, rest]) => `${prefix}${numbers.join('.')}${rest.length > 0 ? '-' : ''}${rest.join('.')}`)
const plain = fc.tuple(
  fc.nat(3),
  fc.nat(3),
  fc.nat(3),
  fc.constantFrom('', '-0', '-rc.1', '-rc.2', '-rc.10', '-alpha.b', '-1'),
)
const version = plain.map(([major, minor, patch, rest]) => `${major}.${minor}.${patch}${rest}`)
const bound = fc.tuple(
  fc.constantFrom('', '>', '>=', '<', '<=', '=', '^', '~'),
  fc.oneof(version, fc.constantFrom('1', '1.2', '2.x', '*')),
)
const range = fc
  .array(
    fc
      .array(
        bound.map((pair) => pair.join('')),
        { minLength: 1, maxLength: 2 },
      )
      .map((bounds) => bounds.join(' ')),
    {
      minLength: 1,
      maxLength: 2,
    },
  )
  .map((sets) => sets.join(' || '))

describe('a version is what it is to npm', () => {
  it('to read', () => {
    fc.assert(
      fc.property(text, (text) => {
        const { major, minor, patch, prerelease } = parseVersion(text) ?? {}
        // npm lets a = stand before it, which no tag begins with.
        const theirs = text.startsWith('=') ? null : semver.parse(text)
        expect([major, minor, patch, prerelease]).toEqual([
          theirs?.major,
          theirs?.minor,
          theirs?.patch,
          theirs?.prerelease.map(String),
        ])
      }),
    )
  })

  it('to compare', () => {
    fc.assert(
      fc.property(version, version, (a, b) => {
        expect(Math.sign(compareVersions(parseVersion(a)!, parseVersion(b)!))).toBe(semver.compare(a, b))
      }),
    )
  })

  it('to hold against a range', () => {
    fc.assert(
      fc.property(range, version, (range, version) => {
        const [ours, parsed] = [parseRange(range), parseVersion(version)!]
        expect(ours.has(parsed)).toBe(semver.satisfies(version, range))
        expect(ours.spans(parsed)).toBe(semver.satisfies(version, range, { includePrerelease: true }))
      }),
      { numRuns: 1000 },
    )
  })
})

describe('a version in a name', () => {
  it.each([
    ['1.2', '1.2.0'],
    ['v1', '1.0.0'],
    ['2024.06.01', '2024.6.1'],
    ['prod-v1.2.3', '1.2.3'],
    ['prod_1.2.3-rc.01', '1.2.3-rc.01'],
    ['1.2.3_build.7', '1.2.3'],
    ['main-3f2a91c-1718000000', '1718000000.0.0'],
    ['app2-1.4', '1.4.0'],
    ['1.2.3.4', undefined],
    ['x86', undefined],
    ['3f2a91c', undefined],
    ['20240601123045123456', undefined],
  ])('%s: %s', (name, expected) => {
    const found = findVersion(name)
    const { major, minor, patch, prerelease } = found ?? { prerelease: [] as string[] }
    const shown =
      found && `${[major, minor, patch].join('.')}${prerelease.length > 0 ? `-${prerelease.join('.')}` : ''}`
    expect(shown).toBe(expected)
  })
})
