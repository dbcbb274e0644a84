import fc from '../../support/fast-check.ts'
import { describe, expect, it } from 'vitest'
import { parseChallenges } from '../../../src/oci/challenge.ts'

describe('parseChallenges', () => {
  it.each([
    ['Basic realm="x"', [{ scheme: 'basic', parameters: { realm: 'x' } }]],
    ['Basic', [{ scheme: 'basic', parameters: {} }]],
    [
      'Bearer realm="https://auth/token",service="reg",scope="repository:a/b:pull,push"',
      [
        {
          scheme: 'bearer',
          parameters: { realm: 'https://auth/token', service: 'reg', scope: 'repository:a/b:pull,push' },
        },
      ],
    ],
    [
      'Basic realm="a, b", Bearer realm=/token , service = reg',
      [
        { scheme: 'basic', parameters: { realm: 'a, b' } },
        { scheme: 'bearer', parameters: { realm: '/token', service: 'reg' } },
      ],
    ],
    [
      'Negotiate YII=, BEARER Realm="a\\"b\\\\c"',
      [
        { scheme: 'negotiate', parameters: {} },
        { scheme: 'bearer', parameters: { realm: 'a"b\\c' } },
      ],
    ],
    [
      'Negotiate, Basic realm=""',
      [
        { scheme: 'negotiate', parameters: {} },
        { scheme: 'basic', parameters: { realm: '' } },
      ],
    ],
    ['Bearer realm="a",realm="b"', [{ scheme: 'bearer', parameters: { realm: 'a' } }]],
    ['Bearer realm="never ends', [{ scheme: 'bearer', parameters: { realm: 'never ends' } }]],
    ['', []],
    ['"nonsense"', []],
  ])('reads %s', (header, challenges) => {
    expect(parseChallenges(header)).toEqual(challenges)
  })

  it('reads several headers', () => {
    expect(parseChallenges(['Basic realm="a"', 'Bearer realm="b"']).map(({ scheme }) => scheme)).toEqual([
      'basic',
      'bearer',
    ])
  })

  it('reads back whatever stands in quotes', () => {
    const text = fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)) })
    fc.assert(
      fc.property(text, text, (realm, service) => {
        const quoted = (value: string) => `"${value.replace(/["\\]/g, '\\$&')}"`
        const [challenge, other] = parseChallenges(
          `Bearer realm=${quoted(realm)}, service=${quoted(service)}, Basic realm="x"`,
        )
        expect(challenge).toEqual({ scheme: 'bearer', parameters: { realm, service } })
        expect(other).toEqual({ scheme: 'basic', parameters: { realm: 'x' } })
      }),
    )
  })

  it('never throws and always ends', () => {
    fc.assert(fc.property(fc.string({ maxLength: 500 }), (text) => Array.isArray(parseChallenges(text))))
    const before = process.cpuUsage()
    parseChallenges('a="'.repeat(5000))
    parseChallenges(`Bearer ${'a '.repeat(8000)}`)
    expect(process.cpuUsage(before).user).toBeLessThan(1_000_000)
  })
})
