import { isIPv4 } from 'node:net'
import fc from 'fast-check'
import { hostName, isLoopbackAddress, sourceOf } from '../../../src/server/guard/address.ts'
import { readCredentials } from '../../../src/server/guard/credentials.ts'
import { readRights } from '../../../src/server/guard/rights.ts'
import { pumped } from '../mutate/pumped.ts'
import { hostileText, orNone } from '../mutate/text.ts'
import { ok, property, same } from '../property.ts'

/** Whether `*` can stand for what is there, tried one by one. */
function matchesSlowly(pattern: string, text: string): boolean {
  const reachable = new Set([0])
  for (const character of pattern) {
    const from = [...reachable]
    reachable.clear()
    for (const at of from) {
      if (character === '*') for (let end = at; end <= text.length; end++) reachable.add(end)
      else if (text[at] === character) reachable.add(at + 1)
    }
  }
  return reachable.has(text.length)
}

const patternText = fc.string({
  unit: fc.constantFrom('a', 'b', '/', '*', '.', '-', '[', '\\', '$', '\n'),
  maxLength: 8,
})
/** Not the library's `binary`, which takes a second to set up. */
const characters = fc.oneof(fc.nat({ max: 0x7f }), fc.nat({ max: 0xd7ff })).map((code) => String.fromCodePoint(code))
const credentialTexts = fc.tuple(
  fc.string({ unit: characters, maxLength: 8 }).map((text) => text.replaceAll(':', '')),
  fc.string({ unit: characters, maxLength: 8 }),
)
const headers = fc.oneof(
  credentialTexts.map((pair) => `Basic ${Buffer.from(pair.join(':')).toString('base64')}`),
  fc.base64String().map((text) => `Bearer ${text}`),
)
const groups = fc.array(fc.nat({ max: 0xffff }), { minLength: 8, maxLength: 8 })

export const guardProperties = [
  property('Basic that was written', credentialTexts, ([user, password]) => {
    const [name, word] = [Buffer.from(user).toString(), Buffer.from(password).toString()]
    const found = readCredentials(`bAsIc ${Buffer.from(`${name}:${word}`).toString('base64')}`)
    same(found, name === '' && word === '' ? { scheme: 'none' } : { scheme: 'basic', user: name, password: word })
  }),
  property('Authorization', hostileText(headers, ['Bearer ', 'Basic ', 'bearer', ' ', '=', ':']), (header) => {
    const found = readCredentials(header)
    if (found.scheme === 'bearer') ok(found.token !== '' && header.includes(found.token))
    if (found.scheme === 'basic') ok(!found.user.includes(':') && typeof found.password === 'string')
    if (found.scheme === 'none') ok(header === '' || /^basic/i.test(header))
  }),
  property(
    'long Authorization',
    pumped(headers, ['Bearer ', 'Basic ', 'QQ==', ':']),
    (text) => void readCredentials(text),
  ),
  property(
    'rights',
    fc.tuple(
      fc.array(fc.record({ action: fc.constantFrom('read', 'push', 'admin'), pattern: fc.option(patternText) }), {
        maxLength: 3,
      }),
      fc.constantFrom('read', 'push', 'delete'),
      fc.option(patternText, { nil: undefined }),
    ),
    ([grants, action, target]) => {
      const expected = grants.some(
        (grant) =>
          (grant.action === action || grant.action === 'admin') &&
          (target === undefined || grant.pattern === null || matchesSlowly(grant.pattern, target)),
      )
      same(readRights(grants)(action, target), expected)
    },
  ),
  property(
    'long names against patterns',
    fc.tuple(
      pumped(fc.constantFrom('a/*', '*', 'acme/*/b'), ['*a', '*', 'a*', 'ab'], { maxLength: 200 }),
      pumped(fc.constantFrom('a/b', 'acme/a/b'), ['a', 'ab', 'b'], { maxLength: 1000 }),
    ),
    ([pattern, target]) => void readRights([{ action: 'read', pattern }])('read', target),
  ),
  property(
    'addresses',
    orNone(
      hostileText(
        fc.oneof(
          fc.ipV4(),
          fc.ipV6(),
          fc.ipV4().map((address) => `::ffff:${address}`),
        ),
        ['::', ':', '::1', '127.', '%eth0', '127.0.0.1', '::ffff:', '[', ']'],
      ),
    ),
    (text) => {
      ok(typeof sourceOf(text) === 'string' && typeof hostName(text ?? '') === 'string')
      const bare = text?.replace(/^::ffff:(?=.*\.)/, '') ?? ''
      same(isLoopbackAddress(text), bare === '::1' || (isIPv4(bare) && bare.split('.')[0] === '127'))
      if (isIPv4(bare)) same(sourceOf(text), bare)
    },
  ),
  property(
    'hosts that were written',
    fc.tuple(
      fc.oneof(
        fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,8}(?:\.[a-z]{2,4}){0,2}$/),
        fc.constantFrom('127.0.0.1', '[::1]', '[2001:DB8::1]'),
      ),
      fc.constantFrom('', '.'),
      fc.constantFrom('', ':80', ':65535'),
    ),
    ([host, dot, port]) => {
      const isAddress = /^\[|^127/.test(host)
      same(hostName(`${host}${isAddress ? '' : dot}${port}`), host.replace(/^\[|\]$/g, '').toLowerCase())
    },
  ),
  property('one /64 is one source', fc.tuple(groups, groups), ([front, back]) => {
    const long = [...front.slice(0, 4), ...back.slice(4)].map((group) => group.toString(16))
    const address = new URL(`http://[${long.join(':')}]`).hostname.slice(1, -1)
    same(sourceOf(address), sourceOf(long.join(':').toUpperCase()))
    same(sourceOf(address), sourceOf(long.map((group) => group.padStart(4, '0')).join(':')))
    same(sourceOf(address), `${long.slice(0, 4).join(':')}::/64`)
  }),
]
