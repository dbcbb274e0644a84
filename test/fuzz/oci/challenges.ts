import fc from 'fast-check'
import { type Challenge, parseChallenges } from '../../../src/oci/challenge.ts'
import { splitScopes, unionScopes } from '../../../src/oci/scope.ts'
import { pumped } from '../mutate/pumped.ts'
import { hostileText } from '../mutate/text.ts'
import { ok, property, same } from '../property.ts'
import { repositories } from './references.ts'

const token = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,7}$/)

export const value = fc.string({ unit: 'grapheme-ascii', maxLength: 12 })
const challenges = fc.array(
  fc.record({
    scheme: fc.oneof(token, fc.constantFrom('Bearer', 'Basic')),
    parameters: fc.uniqueArray(fc.tuple(token, value), { maxLength: 4, selector: ([name]) => name.toLowerCase() }),
  }),
  { minLength: 1, maxLength: 3 },
)
const space = fc.constantFrom('', ' ', '\t', '  ')
const headerOf = fc.tuple(challenges, space, space).map(([list, before, after]) => ({
  list,
  text: list
    .map(
      ({ scheme, parameters }) =>
        `${scheme} ${parameters.map(([name, text]) => `${name}${before}=${after}"${text.replace(/["\\]/g, '\\$&')}"`).join(`${before},${after}`)}`,
    )
    .join(`${before},${after}`),
}))
const headers = headerOf.map(({ text }) => text)
const challengeTokens = [
  'Bearer ',
  'Basic ',
  'Negotiate YII=',
  'realm=',
  'scope=',
  '"',
  '\\"',
  '\\',
  '=',
  '==',
  ',',
  ' , ',
  'error="insufficient_scope"',
]

export const challengeProperties = [
  property('challenges that were written', headerOf, ({ list, text }) => {
    const expected = list.map(({ scheme, parameters }): Challenge => ({
      scheme: scheme.toLowerCase(),
      parameters: Object.fromEntries(parameters.map(([name, parameter]) => [name.toLowerCase(), parameter])),
    }))
    same(
      parseChallenges(text).map(({ scheme, parameters }) => ({ scheme, parameters: { ...parameters } })),
      expected,
    )
  }),
  property('challenges', hostileText(headers, challengeTokens), (text) => {
    for (const { scheme, parameters } of parseChallenges([text, text])) {
      ok(scheme !== '' && scheme === scheme.toLowerCase() && text.toLowerCase().includes(scheme))
      ok(
        Object.entries(parameters).every(
          ([name, parameter]) => name === name.toLowerCase() && typeof parameter === 'string',
        ),
      )
      splitScopes(parameters.scope)
    }
  }),
  property(
    'long challenges',
    pumped(headers, challengeTokens, { maxLength: 16_000 }),
    (text) => void parseChallenges(text),
  ),
  property(
    'scopes that were written',
    fc.array(
      fc.tuple(
        fc.constantFrom('repository:a', 'repository:a/b', 'registry:catalog'),
        fc.subarray(['delete', 'pull', 'push']),
      ),
      { maxLength: 5 },
    ),
    (list) => {
      const written = list.map(([resource, actions]) =>
        [resource, ...(actions.length === 0 ? [] : [actions.join(',')])].join(':'),
      )
      const named = list.filter(([, actions]) => actions.length > 0)
      same(splitScopes(` ${written.join('  ')}`), written)
      const resources = [...new Set(named.map(([resource]) => resource))]
      const expected = resources.map((resource) => {
        const all = named.flatMap(([other, actions]) => (other === resource ? actions : []))
        return `${resource}:${[...new Set(all)].toSorted().join(',')}`
      })
      same(unionScopes(named.map(([resource, actions]) => `${resource}:${actions.join(',')}`)), expected.toSorted())
    },
  ),
  property(
    'scopes',
    hostileText(
      fc
        .array(
          repositories.map((name) => `repository:${name}:pull,push`),
          { maxLength: 4 },
        )
        .map((list) => list.join(' ')),
      ['repository:', ':pull', ',', '*', 'registry:catalog:*'],
    ),
    (text) => {
      const scopes = splitScopes(text)
      const union = unionScopes(scopes)
      same(unionScopes(scopes.toReversed()), union)
      same(unionScopes([...scopes, ...scopes]), union)
      same(union, union.toSorted())
      ok(union.length <= scopes.length)
    },
  ),
]
