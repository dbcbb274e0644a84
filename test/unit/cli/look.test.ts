import { describe, expect, it } from 'vitest'
import { exitStatusOf } from '../../../src/cli/exit.ts'
import { describeLook, failureOf } from '../../../src/cli/look.ts'
import { describeReleases } from '../../../src/cli/releases.ts'
import type { Look, Release } from '../../../src/model/release.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { createContext } from './fake-context.ts'

const look: Look = {
  ...{ bundle: 'authz', startedAt: 1000, endedAt: 1312, outcome: 'released', trigger: 'request', version: '1.4.2' },
  ...{ fingerprint: null, message: null, code: null, failures: 0, nextAt: null },
}

describe('what a look came to', () => {
  it('is one line', () => {
    expect(describeLook(look)).toBe('authz: released 1.4.2 (312ms)')
    expect(describeLook({ ...look, outcome: 'unchanged' })).toBe('authz: nothing new (312ms)')
  })

  it.each([
    ['refused', 'bad_bundle', 4],
    ['failed', 'unauthorized', 3],
    ['failed', 'not_found', 3],
    ['failed', 'network', 1],
    ['failed', null, 1],
  ] as const)('%s by %s ends with %i', (outcome, code, status) => {
    const failure = failureOf({ ...look, outcome, code, message: 'data.json is no JSON' })
    expect(failure?.message).toBe('authz: data.json is no JSON')
    expect(exitStatusOf(failure)).toBe(status)
  })

  it('is no failure when it went well', () => {
    expect(failureOf(look)).toBeUndefined()
    expect(failureOf({ ...look, outcome: 'unchanged' })).toBeUndefined()
  })
})

describe('describeReleases', () => {
  const digest = digestOf('x')
  const artifact = digestOf('what the tag stood for')
  const release: Release = {
    ...{ bundle: 'authz', number: 2, bundleDigest: digest, size: 1, manifestDigest: digest, sourceDigest: artifact },
    ...{ form: 'original', version: '1.4.2', revision: 'abc', activatedAt: 0, reason: 'changed', kept: true },
  }

  it('is a line each, and says whose bytes are gone', () => {
    const releases = [
      release,
      { ...release, number: 1, bundleDigest: null, revision: null, reason: 'first', kept: false },
    ]
    expect(describeReleases('authz', releases, 7_200_000, createContext().output)).toEqual([
      'RELEASE  VERSION  ARTIFACT             BUNDLE               REVISION  AGE  REASON',
      `@2       1.4.2    ${artifact.slice(0, 19)}  ${digest.slice(0, 19)}  abc       2h   changed`,
      `@1       1.4.2    ${artifact.slice(0, 19)}  -                    -         2h   first (bytes are gone)`,
    ])
  })

  it('says that there is none', () => {
    expect(describeReleases('authz', [], 0, createContext().output)).toEqual(['authz has no release yet'])
  })
})
