// Makes hostile input out of valid input. Each mutation is data, so that fast-check can take it away when it shrinks.
import fc from 'fast-check'
import { pooled } from './pool.ts'

/** What breaks parsers in every format: edges of numbers, characters that look like others or like nothing, other escapes. */
const numberEdges = ['0', '-0', '-1', '1e309', '1.5', '0x10', '00', '2147483648', '9007199254740993', '9'.repeat(25)]
const oddCharacters = [
  '\0',
  '\r',
  '\n',
  '\t',
  '\v',
  '\u007f',
  '\u0085',
  '\u00a0',
  '\u202e',
  '\u2028',
  '\ud800',
  '\ufeff',
  '\ufdd0',
  '\uffff',
  'é',
  'ſ',
  'K',
  'İ',
  '٣',
  '𝟙',
  '😀',
]
const anyTokens = [
  '/',
  '..',
  '../',
  '//',
  '.',
  '%2F',
  '%2e%2e',
  '%',
  '%00',
  '\\',
  '"',
  "'",
  '<',
  '>',
  '{',
  '}',
  '[',
  ']',
  ',',
  ';',
  ':',
  '=',
  '*',
  '@',
  '$',
  '${',
  '#',
  '?',
  '&',
  ' ',
  '__proto__',
  'constructor',
  'toString',
]

export type TextMutation =
  | { kind: 'flip'; at: number; bit: number }
  | { kind: 'truncate'; at: number }
  | { kind: 'behead'; at: number }
  | { kind: 'remove'; at: number; length: number }
  | { kind: 'repeat'; at: number; length: number; times: number }
  | { kind: 'move'; at: number; length: number; to: number }
  | { kind: 'splice'; at: number; token: string }
  | { kind: 'number'; at: number; edge: string }
  | { kind: 'nest'; at: number; length: number; pair: [string, string]; depth: number }
  | { kind: 'case'; at: number; length: number }

/** A place in a text, as a part of its length. */
export const place = fc.nat({ max: 9999 })
export const length = fc.nat({ max: 12 })

export function textMutation(tokens: readonly string[]): fc.Arbitrary<TextMutation> {
  const token = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...tokens, ...anyTokens) },
    { weight: 1, arbitrary: fc.constantFrom(...oddCharacters) },
  )
  const pair = fc.constantFrom<[string, string]>(
    ['{"a":', '}'],
    ['[', ']'],
    ['(', ')'],
    ['${', '}'],
    ['"', '"'],
    ['<', '>'],
    ['/', '/'],
    ['- ', ''],
  )
  return fc.oneof(
    fc.record({ kind: fc.constant('flip'), at: place, bit: fc.nat({ max: 6 }) }),
    fc.record({ kind: fc.constant('truncate'), at: place }),
    fc.record({ kind: fc.constant('behead'), at: place }),
    fc.record({ kind: fc.constant('remove'), at: place, length }),
    fc.record({ kind: fc.constant('repeat'), at: place, length, times: fc.constantFrom(1, 2, 3, 10, 100) }),
    fc.record({ kind: fc.constant('move'), at: place, length, to: place }),
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('splice'), at: place, token }) },
    fc.record({ kind: fc.constant('number'), at: place, edge: fc.constantFrom(...numberEdges) }),
    fc.record({ kind: fc.constant('nest'), at: place, length, pair, depth: fc.constantFrom(1, 2, 70, 300) }),
    fc.record({ kind: fc.constant('case'), at: place, length }),
  )
}

export function mutateText(text: string, mutation: TextMutation): string {
  const at = Math.floor((mutation.at / 10_000) * (text.length + 1))
  const end = 'length' in mutation ? Math.min(text.length, at + mutation.length) : at
  const [before, middle, after] = [text.slice(0, at), text.slice(at, end), text.slice(end)]
  switch (mutation.kind) {
    case 'flip':
      return at < text.length
        ? before + String.fromCharCode(text.charCodeAt(at) ^ (1 << mutation.bit)) + text.slice(at + 1)
        : text
    case 'truncate':
      return before
    case 'behead':
      return after
    case 'remove':
      return before + after
    case 'repeat':
      return before + middle.repeat(mutation.times + 1) + after
    case 'move': {
      const rest = before + after
      const to = Math.floor((mutation.to / 10_000) * (rest.length + 1))
      return rest.slice(0, to) + middle + rest.slice(to)
    }
    case 'splice':
      return before + mutation.token + after
    case 'number':
      return before + after.replace(/\d+/, mutation.edge)
    case 'nest':
      return before + mutation.pair[0].repeat(mutation.depth) + middle + mutation.pair[1].repeat(mutation.depth) + after
    case 'case':
      return before + swapCase(middle) + after
  }
}

function swapCase(text: string): string {
  return text === text.toUpperCase() ? text.toLowerCase() : text.toUpperCase()
}

/** Now and then nothing: of a header, that it is not there. */
export function orNone<T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.option(values, { nil: undefined, freq: 50 })
}

/** Most of it is valid input that was mutated; the rest valid input as it is, and words of the format in any order. `tokens`: the format's own words. */
export function hostileText(valid: fc.Arbitrary<string>, tokens: readonly string[]): fc.Arbitrary<string> {
  const mutations = fc.array(textMutation(tokens), { minLength: 1, maxLength: 4 })
  const word = fc.constantFrom(...tokens, ...anyTokens, ...oddCharacters)
  return fc.oneof(
    { weight: 7, arbitrary: fc.tuple(pooled(valid), mutations).map(([text, list]) => list.reduce(mutateText, text)) },
    { weight: 1, arbitrary: valid },
    { weight: 2, arbitrary: fc.array(word, { maxLength: 12 }).map((words) => words.join('')) },
  )
}
