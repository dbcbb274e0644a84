import fc from '../../support/fast-check.ts'
import semver from 'semver'
import { describe, expect, it } from 'vitest'
import { nameOf, type Follow, type Order } from '../../../src/model/follow.ts'
import { judge, type Known } from '../../../src/reconcile/follow.ts'

const any: Follow = { semver: '*', prerelease: false }
const by = (order: Order, pattern = ''): Follow => ({ pattern, order })
const verdictsOf = (follow: Follow, tags: string[], known: Known = {}) =>
  Object.fromEntries(judge(follow, tags, known).verdicts.map(({ tag, verdict }) => [tag, verdict]))
const codeOf = (follow: Follow, tag: string) => verdictsOf(follow, [tag])[tag]!.code

describe('a range', () => {
  it.each([
    ['1.2.3', 'taken'],
    ['v1.2.3', 'taken'],
    ['1.2.3_build.7', 'taken'],
    ['1.2.3-alpine', 'prerelease'],
    ['v2.0.0-rc.1', 'prerelease'],
    ['1.2', 'not_a_version'],
    ['v1', 'not_a_version'],
    ['V1.2.3', 'not_a_version'],
    ['1.2.3.4', 'not_a_version'],
    ['2024.06.01', 'not_a_version'],
    ['2024.6.1', 'taken'],
    ['20240601', 'not_a_version'],
    ['01.2.3', 'not_a_version'],
    ['1.2.3-rc.01', 'not_a_version'],
    ['99999999999999999999.0.0', 'not_a_version'],
    ['main-3f2a91c-1718000000', 'not_a_version'],
    ['release-1.2.3', 'not_a_version'],
    ['latest', 'not_a_version'],
    ['3f2a91c', 'not_a_version'],
    ['sha256-abc.sig', 'not_a_version'],
    ['_', 'not_a_version'],
  ])('any: %s is %s', (tag, code) => expect(codeOf(any, tag)).toBe(code))

  it.each([
    ['^1.2', '1.9.9', 'taken'],
    ['^1.2', 'v1.2.0', 'taken'],
    ['^1.2', '1.1.9', 'outside_range'],
    ['^1.2', '2.0.0', 'outside_range'],
    ['^1', '2.0.0-rc.1', 'outside_range'],
    ['^1', '1.3.0-rc.1', 'prerelease'],
    ['>=1.0.0 <2', '1.99.0', 'taken'],
    ['>=1.0.0 <2', '2.0.0-0', 'outside_range'],
    ['~1.2.3 || 3.x', '3.4.5', 'taken'],
    ['1.2.3', 'v1.2.3', 'taken'],
    ['', '7.0.0', 'taken'],
    // As npm has it: who names a prerelease asks for those of that version.
    ['>=2.0.0-rc.1', '2.0.0-rc.2', 'taken'],
    ['>=2.0.0-rc.1', '2.1.0-rc.1', 'prerelease'],
  ])('%s: %s is %s', (range, tag, code) => expect(codeOf({ semver: range, prerelease: false }, tag)).toBe(code))

  it.each([
    ['*', '1.2.3-alpine', 'taken'],
    ['^1', '1.3.0-rc.1', 'taken'],
    ['^1', '2.0.0-rc.1', 'outside_range'],
    ['<2', '2.0.0-rc.1', 'outside_range'],
    // npm's trap, since 2.0.0-rc.1 is less than 2.0.0.
    ['<2.0.0', '2.0.0-rc.1', 'taken'],
  ])('%s with prereleases: %s is %s', (range, tag, code) =>
    expect(codeOf({ semver: range, prerelease: true }, tag)).toBe(code),
  )

  it('says of every tag why, with what it was held against', () => {
    const tags = ['latest', 'v1.0.0', '1.1.0', 'v1.1.0', 'v2.0.0-rc.1', '2.0.0', '1.2.0-rc.1', 'junk']
    const judged = judge({ semver: '^1', prerelease: false }, tags)
    expect(judged.candidates).toEqual(['1.1.0', 'v1.1.0', 'v1.0.0'])
    expect(judged.verdicts).toEqual([
      { tag: '1.1.0', verdict: { code: 'taken' } },
      { tag: 'v1.1.0', verdict: { code: 'same_version_as', tag: '1.1.0' } },
      { tag: 'v1.0.0', verdict: { code: 'older_than', tag: '1.1.0' } },
      { tag: 'latest', verdict: { code: 'not_a_version' } },
      { tag: 'v2.0.0-rc.1', verdict: { code: 'outside_range', range: '^1' } },
      { tag: '2.0.0', verdict: { code: 'outside_range', range: '^1' } },
      { tag: '1.2.0-rc.1', verdict: { code: 'prerelease' } },
      { tag: 'junk', verdict: { code: 'not_a_version' } },
    ])
  })

  it('orders prereleases as semver does', () => {
    const tags = ['1.0.0', '1.0.0-rc.2', '1.0.0-rc.10', '1.0.0-alpha', '1.0.0-alpha.1', '1.0.0-rc.1', '0.9.0']
    expect(judge({ semver: '*', prerelease: true }, tags).candidates).toEqual([
      '1.0.0',
      '1.0.0-rc.10',
      '1.0.0-rc.2',
      '1.0.0-rc.1',
      '1.0.0-alpha.1',
      '1.0.0-alpha',
      '0.9.0',
    ])
  })

  it('takes the plain name of a version, whatever the order of the list', () => {
    const tags = ['v1.2.3', '1.2.3_b1', 'v1.2.3_b1', '1.2.3', '1.2.3_b2']
    for (const list of [tags, tags.toReversed()]) {
      expect(judge(any, list).candidates).toEqual(['1.2.3', 'v1.2.3', '1.2.3_b2', '1.2.3_b1', 'v1.2.3_b1'])
    }
  })

  it('refuses what is no range', () => {
    expect(() => judge({ semver: 'newest', prerelease: false }, [])).toThrow(/not a range/)
  })
})

describe('a pattern', () => {
  it.each<[Order, string, string[]]>([
    ['semver', '', ['2024.06.01', '3', 'v2', '2.0.0-rc.1', '1.10', '1.9', '1.2.3', '1.2.3-alpine', 'v1']],
    ['semver', '-alpine$', ['1.10.0-alpine', '1.9.0-alpine', '1.9-alpine']],
    ['semver', '^prod-', ['prod-v1.10.0', 'prod-1.9.0', 'prod-1.9.0-rc.1', 'prod-1.9.0-beta']],
    ['semver', '^app-(?<v>.*)-linux$', ['app-1.10.0-linux', 'app-1.9.0-linux', 'app-1.9.0-rc.1-linux']],
    ['numeric', '^main-', ['main-0a91c-1718000001', 'main-ffa91c-1718000000', 'main-3f2a91c-999']],
    ['numeric', '^b(?<n>[0-9]+)-', ['b10-1', 'b9-3', 'b08-7']],
    ['numeric', '', ['99999999999999999999999', '99999999999999999999998', 'x-007', '6']],
    ['alphabetical', '^20', ['2024-10-01', '2024-06-01', '2023-12-31']],
    ['alphabetical', '^(?:a|b)-(?<when>.*)$', ['a-2024-10-01', 'b-2024-06-01']],
  ])('by %s, %s', (order, pattern, newestFirst) => {
    expect(judge(by(order, pattern), newestFirst.toReversed()).candidates).toEqual(newestFirst)
    expect(judge(by(order, pattern), newestFirst.toSorted()).candidates).toEqual(newestFirst)
  })

  it('says why one does not count', () => {
    expect(verdictsOf(by('numeric', '^main'), ['main-7', 'main-6', 'main', 'prod-8'])).toEqual({
      'main-7': { code: 'taken' },
      'main-6': { code: 'older_than', tag: 'main-7' },
      main: { code: 'no_number' },
      'prod-8': { code: 'no_match', pattern: '^main' },
    })
    expect(verdictsOf(by('semver', '^r'), ['r-1', 'r-1.0', 'r', 'r-1.2.3.4'])).toEqual({
      'r-1.0': { code: 'taken' },
      'r-1': { code: 'same_version_as', tag: 'r-1.0' },
      r: { code: 'not_a_version' },
      'r-1.2.3.4': { code: 'not_a_version' },
    })
  })

  it('orders by when things were made, as far as that is known', () => {
    const times = new Map([
      ['a', 300],
      ['b', 100],
      ['c', 200],
    ])
    expect(judge(by('created'), ['a', 'b', 'c', 'd'], { times })).toMatchObject({
      candidates: ['a', 'c', 'b'],
      verdicts: [{}, {}, {}, { tag: 'd', verdict: { code: 'no_time' } }],
    })
  })

  it.each(['^(a+)+$', '^(a|a)*$', '^.*.*.*.*.*.*x', '(.*a){20}$'])('%s ends soon on any tag', (pattern) => {
    const tags = Array.from({ length: 100 }, (_, at) => `${'a'.repeat(120)}_${at}`)
    expect(judge(by('alphabetical', pattern), tags).verdicts).toHaveLength(100)
  })

  it.each(['(', '[z-a]', '(?=a)', '(a)\\1', '(?<a>.)(?<b>.)'])('%s is refused', (pattern) => {
    expect(() => judge(by('numeric', pattern), [])).toThrow()
  })
})

describe('an exact one', () => {
  it('takes it, and says of the others that they are not followed', () => {
    expect(verdictsOf({ tag: 'latest' }, ['latest', 'v1'])).toEqual({
      latest: { code: 'taken' },
      v1: { code: 'not_followed', follow: 'latest' },
    })
    expect(verdictsOf({ tag: 'latest' }, ['latest'], { gone: new Set(['latest']) })).toEqual({
      latest: { code: 'gone' },
    })
  })
})

describe('no step down', () => {
  const range: Follow = { semver: '^1', prerelease: false }
  const held = (tags: string[], running: string, more: Known = {}, follow: Follow = range) =>
    judge(follow, tags, { running: { tag: running }, ...more }).held

  it('where what ran is gone, and all else is older', () => {
    const judged = judge(range, ['v1.0.0', 'v1.1.0'], { running: { tag: 'v1.2.0' } })
    expect(judged).toEqual({
      candidates: [],
      held: { best: 'v1.1.0', running: 'v1.2.0' },
      verdicts: [
        { tag: 'v1.1.0', verdict: { code: 'step_down', tag: 'v1.2.0' } },
        { tag: 'v1.0.0', verdict: { code: 'older_than', tag: 'v1.1.0' } },
      ],
    })
  })

  it('where it is in the list, but gone', () => {
    expect(held(['v1.1.0', 'v1.2.0'], 'v1.2.0', { gone: new Set(['v1.2.0']) })).toBeDefined()
  })

  it.each<[string, string[], string, Known?, Follow?]>([
    ['something newer is there', ['v1.3.0'], 'v1.2.0'],
    ['the same version has another name', ['1.2.0'], 'v1.2.0'],
    ['the config allows it', ['v1.1.0'], 'v1.2.0', { allowDowngrade: true }],
    ['what ran is outside of the range: another one was followed', ['v1.1.0'], 'v2.0.0'],
    ['what ran is a prerelease that no longer counts', ['v1.1.0'], 'v1.2.0-rc.1'],
    ['what ran is no version', ['v1.1.0'], 'latest'],
    ['nothing is left', [], 'v1.2.0'],
    ['one name is followed', ['v1.1.0'], 'v1.2.0', {}, { tag: 'v1.1.0' }],
    [
      'a tag moved to something older',
      ['a', 'b'],
      'a',
      { times: new Map(Object.entries({ a: 1, b: 2 })), running: { tag: 'a', at: 5 } },
      by('created'),
    ],
  ])('but: %s', (_why, tags, running, more, follow) => expect(held(tags, running, more, follow)).toBeUndefined())

  it('by the time that what ran was made', () => {
    const times = new Map([['a', 100]])
    expect(held(['a'], '', { times, running: { tag: 'b', at: 200 } }, by('created'))).toBeDefined()
    expect(held(['a'], '', { times, running: { tag: 'b', at: 50 } }, by('created'))).toBeUndefined()
    expect(held(['a'], '', { times, running: { tag: 'b' } }, by('created'))).toBeUndefined()
  })
})

describe('over any history', () => {
  const tag = fc.oneof(
    fc
      .tuple(fc.nat(3), fc.nat(3), fc.nat(3), fc.constantFrom('', '-rc.1', '-alpine'), fc.constantFrom('', 'v'))
      .map(([a, b, c, pre, v]) => `${v}${a}.${b}.${c}${pre}`),
    fc.stringMatching(/^[a-z0-9_][a-z0-9._-]{0,10}$/),
    fc.constantFrom('latest', '1.2', 'v1', '2024.06.01', 'main-3f2a91c-1718000000'),
  )
  const follow = fc.oneof(
    fc.record({ semver: fc.constantFrom('*', '^1', '>=1.1 <3', '~2.1'), prerelease: fc.boolean() }),
    fc.record({
      pattern: fc.constantFrom('', '^v', '-rc', '[0-9]'),
      order: fc.constantFrom<Order>('semver', 'numeric', 'alphabetical', 'created'),
    }),
  )
  const steps = fc.array(
    fc.oneof(
      fc.record({ push: tag, at: fc.nat(5) }),
      fc.record({ remove: fc.nat(20) }),
      fc.record({ vanish: fc.nat(20) }),
    ),
    { maxLength: 40 },
  )

  it('takes what the policy says, and never steps down by itself', () => {
    fc.assert(
      fc.property(follow, steps, (follow, steps) => {
        const times = new Map<string, number>()
        let running: { tag: string; at: number } | undefined
        for (const step of steps) {
          const tags = [...times.keys()]
          if ('push' in step) times.set(step.push, step.at)
          else if ('remove' in step) times.delete(tags[step.remove % tags.length]!)
          const gone = new Set('vanish' in step && tags.length > 0 ? [tags[step.vanish % tags.length]!] : [])
          const list = [...times.keys()]
          const judged = judge(follow, list, { times, gone, running })
          expect(judged.verdicts.map(({ tag }) => tag).sort()).toEqual(list.sort())
          const free = judge(follow, list, { times, gone })
          const [best] = free.candidates
          const taken = judged.verdicts.filter(({ verdict }) => verdict.code === 'taken').map(({ tag }) => tag)
          expect(taken).toEqual(judged.candidates.slice(0, 1))
          expect(judged.held?.best ?? judged.candidates[0]).toBe(best)
          if (best === undefined) continue
          // What ran, put back into the list, says whether the best is less than it.
          const isListed = running === undefined || (times.has(running.tag) && !gone.has(running.tag))
          if (isListed) expect(judged.held).toBeUndefined()
          else {
            const both = new Map([...times, [running!.tag, running!.at] as const])
            const again = judge(
              follow,
              [...list.filter((tag) => !gone.has(tag) && tag !== running!.tag), running!.tag],
              {
                times: both,
              },
            )
            const wouldStay = again.verdicts.find(({ tag }) => tag === running!.tag)!.verdict.code === 'taken'
            const isSame = again.verdicts.find(({ tag }) => tag === best)!.verdict.code === 'same_version_as'
            expect(judged.held !== undefined, `${nameOf(follow)}: ${running!.tag} to ${best}`).toBe(
              wouldStay && !isSame,
            )
          }
          if (judged.held === undefined) running = { tag: best, at: times.get(best)! }
        }
      }),
      { numRuns: 500 },
    )
  })

  it('a range takes what npm would', () => {
    fc.assert(
      fc.property(fc.array(tag, { maxLength: 30 }), fc.constantFrom('*', '^1', '>=1.1 <3', '~2.1'), (tags, range) => {
        const versions = tags.filter((tag) => semver.valid(tag) !== null)
        const [best] = judge({ semver: range, prerelease: false }, tags).candidates
        expect(best?.replace(/^v/, '')).toBe(semver.maxSatisfying(versions, range)?.replace(/^v/, ''))
      }),
    )
  })

  it('the order of the list does not matter', () => {
    fc.assert(
      fc.property(follow, fc.uniqueArray(tag, { maxLength: 30 }), (follow, tags) => {
        const times = new Map(tags.map((tag, at) => [tag, at % 3]))
        const forward = judge(follow, tags, { times }).candidates
        expect(judge(follow, tags.toReversed(), { times }).candidates).toEqual(forward)
      }),
    )
  })

  it('of 10,000 tags every one gets a verdict', () => {
    const tags = Array.from({ length: 10_000 }, (_, at) => (at % 2 === 0 ? `v1.${at % 100}.${at}` : `main-${at}`))
    const judged = judge(any, tags)
    expect(judged.candidates[0]).toBe('v1.98.9998')
    expect(judged.verdicts).toHaveLength(10_000)
  })
})
