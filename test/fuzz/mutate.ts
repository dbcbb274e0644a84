// Makes hostile input out of valid input. Each mutation is data, so that fast-check can take it away when it shrinks.
import fc from 'fast-check'

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

type TextMutation =
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
const place = fc.nat({ max: 9999 })
const length = fc.nat({ max: 12 })

function textMutation(tokens: readonly string[]): fc.Arbitrary<TextMutation> {
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

function mutateText(text: string, mutation: TextMutation): string {
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

/** Half of it is valid input that was mutated; the rest valid input as it is, and words of the format in any order. `tokens`: the format's own words. */
export function hostileText(valid: fc.Arbitrary<string>, tokens: readonly string[]): fc.Arbitrary<string> {
  const mutations = fc.array(textMutation(tokens), { minLength: 1, maxLength: 4 })
  const word = fc.constantFrom(...tokens, ...anyTokens, ...oddCharacters)
  return fc.oneof(
    { weight: 5, arbitrary: fc.tuple(valid, mutations).map(([text, list]) => list.reduce(mutateText, text)) },
    { weight: 3, arbitrary: valid },
    { weight: 2, arbitrary: fc.array(word, { maxLength: 12 }).map((words) => words.join('')) },
  )
}

type BytesMutation =
  | { kind: 'set'; at: number; byte: number }
  | { kind: 'flip'; at: number; bit: number }
  | { kind: 'truncate'; at: number }
  | { kind: 'remove'; at: number; length: number }
  | { kind: 'repeat'; at: number; length: number; times: number }
  | { kind: 'splice'; at: number; token: Buffer }

function bytesMutation(tokens: readonly Buffer[], unit: number): fc.Arbitrary<BytesMutation> {
  const some = fc.oneof(
    length,
    fc.nat({ max: 4 }).map((units) => units * unit),
  )
  return fc.oneof(
    fc.record({
      kind: fc.constant('set'),
      at: place,
      byte: fc.constantFrom(0, 1, 0x20, 0x2f, 0x30, 0x39, 0x7f, 0x80, 0xc0, 0xff),
    }),
    fc.record({ kind: fc.constant('flip'), at: place, bit: fc.nat({ max: 7 }) }),
    fc.record({ kind: fc.constant('truncate'), at: place }),
    fc.record({ kind: fc.constant('remove'), at: place, length: some }),
    fc.record({ kind: fc.constant('repeat'), at: place, length: some, times: fc.constantFrom(1, 2, 10) }),
    fc.record({ kind: fc.constant('splice'), at: place, token: fc.constantFrom(...tokens) }),
  )
}

/** `unit`: what the format is aligned to, so that some mutations keep the alignment. */
function mutateBytes(bytes: Buffer, mutation: BytesMutation, unit: number): Buffer {
  const exact = Math.floor((mutation.at / 10_000) * (bytes.length + 1))
  const at = mutation.kind === 'set' || mutation.kind === 'flip' || exact % 3 === 0 ? exact : exact - (exact % unit)
  const end = 'length' in mutation ? Math.min(bytes.length, at + mutation.length) : at
  const [before, middle, after] = [bytes.subarray(0, at), bytes.subarray(at, end), bytes.subarray(end)]
  switch (mutation.kind) {
    case 'set':
    case 'flip': {
      const copy = Buffer.from(bytes)
      if (at < copy.length) copy[at] = mutation.kind === 'set' ? mutation.byte : copy[at]! ^ (1 << mutation.bit)
      return copy
    }
    case 'truncate':
      return before
    case 'remove':
      return Buffer.concat([before, after])
    case 'repeat':
      return Buffer.concat([before, ...Array.from({ length: mutation.times + 1 }, () => middle), after])
    case 'splice':
      return Buffer.concat([before, mutation.token, after])
  }
}

export function hostileBytes(valid: fc.Arbitrary<Buffer>, tokens: readonly Buffer[], unit = 1): fc.Arbitrary<Buffer> {
  const mutations = fc.array(bytesMutation(tokens, unit), { minLength: 1, maxLength: 4 })
  return fc.oneof(
    {
      weight: 5,
      arbitrary: fc
        .tuple(valid, mutations)
        .map(([bytes, list]) => list.reduce((now, one) => mutateBytes(now, one, unit), bytes)),
    },
    { weight: 4, arbitrary: valid },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)) },
  )
}

type TreeMutation =
  | { kind: 'replace'; at: number; value: unknown }
  | { kind: 'delete'; at: number }
  | { kind: 'rename'; at: number; key: string }
  | { kind: 'wrap'; at: number; depth: number; inList: boolean }
  | { kind: 'copy'; at: number; from: number }
  | { kind: 'text'; at: number; mutation: TextMutation }

const junk: unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  Number.MAX_VALUE,
  2 ** 53,
  '',
  'x',
  '..',
  '\0',
  [],
  {},
  [[]],
  [null],
  { a: null },
  { __proto__: 1 },
  'a'.repeat(300),
]

function treeMutation(tokens: readonly string[], keys: readonly string[]): fc.Arbitrary<TreeMutation> {
  return fc.oneof(
    fc.record({ kind: fc.constant('replace'), at: place, value: fc.constantFrom(...junk, ...tokens) }),
    fc.record({ kind: fc.constant('delete'), at: place }),
    fc.record({
      kind: fc.constant('rename'),
      at: place,
      key: fc.constantFrom(...keys, '', '__proto__', 'constructor', 'x'),
    }),
    fc.record({ kind: fc.constant('wrap'), at: place, depth: fc.constantFrom(1, 2, 61, 64, 70), inList: fc.boolean() }),
    fc.record({ kind: fc.constant('copy'), at: place, from: place }),
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('text'), at: place, mutation: textMutation(tokens) }) },
  )
}

interface Slot {
  parent: Record<string, unknown> | unknown[]
  key: string
}

/** Changes its argument, which is the caller's own copy. */
function mutateTree(root: { top: unknown }, mutation: TreeMutation): { top: unknown } {
  const slots = slotsOf(root)
  const slot = slots[mutation.at % slots.length]!
  const value = read(slot)
  switch (mutation.kind) {
    case 'replace':
      write(slot, structuredClone(mutation.value))
      break
    case 'delete':
      if (Array.isArray(slot.parent)) slot.parent.splice(Number(slot.key), 1)
      else if (slot.parent !== root) Reflect.deleteProperty(slot.parent, slot.key)
      break
    case 'rename':
      if (Array.isArray(slot.parent) || slot.parent === root) break
      Reflect.deleteProperty(slot.parent, slot.key)
      write({ parent: slot.parent, key: mutation.key }, value)
      break
    case 'wrap': {
      let wrapped = value
      for (let level = 0; level < mutation.depth; level++) wrapped = mutation.inList ? [wrapped] : { a: wrapped }
      write(slot, wrapped)
      break
    }
    case 'copy':
      write(slot, structuredClone(read(slots[mutation.from % slots.length]!)))
      break
    case 'text':
      if (typeof value === 'string') write(slot, mutateText(value, mutation.mutation))
      else if (typeof value === 'number') write(slot, Number(mutateText(String(value), mutation.mutation)))
  }
  return root
}

function slotsOf(root: { top: unknown }): Slot[] {
  const slots: Slot[] = [{ parent: root, key: 'top' }]
  for (const slot of slots) {
    const value = read(slot)
    if (typeof value !== 'object' || value === null) continue
    for (const key of Object.keys(value)) slots.push({ parent: value as Record<string, unknown>, key })
  }
  return slots
}

function read({ parent, key }: Slot): unknown {
  return (parent as Record<string, unknown>)[key]
}

function write({ parent, key }: Slot, value: unknown): void {
  Object.defineProperty(parent, key, { value, enumerable: true, writable: true, configurable: true })
}

/** Documents of JSON's kind: as values, half of them mutated in their structure. */
export function hostileTree(
  valid: fc.Arbitrary<unknown>,
  tokens: readonly string[],
  keys: readonly string[],
): fc.Arbitrary<unknown> {
  const mutations = fc.array(treeMutation(tokens, keys), { minLength: 1, maxLength: 4 })
  return fc.oneof(
    {
      weight: 5,
      arbitrary: fc
        .tuple(valid, mutations)
        .map(([value, list]) => list.reduce(mutateTree, { top: structuredClone(value) }).top),
    },
    { weight: 3, arbitrary: valid },
  )
}

/** The same as text: a part of it with duplicate keys, a byte order mark, cut off and so on. */
export function hostileJson(
  valid: fc.Arbitrary<unknown>,
  tokens: readonly string[],
  keys: readonly string[],
): fc.Arbitrary<string> {
  const text = hostileTree(valid, tokens, keys).map((value) => JSON.stringify(value) ?? '')
  const words = [
    '"',
    ':',
    ',',
    '{',
    '}',
    '[',
    ']',
    'null',
    'true',
    '1e999',
    '\\u0000',
    '\\ud800',
    '\ufeff',
    ...keys.map((key) => `"${key}":`),
  ]
  return fc.oneof({ weight: 7, arbitrary: text }, { weight: 3, arbitrary: hostileText(text, words) })
}

/** Long texts that make a parser's cost show when it grows faster than its input: a beginning, one part again and again, an end. */
export function pumped(tokens: readonly string[], maxLength = 100_000): fc.Arbitrary<string> {
  const word = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...tokens) },
    { weight: 1, arbitrary: fc.constantFrom('a', '0', ' ', '\n', '"', '\\', '/', ',', ';', '=', '-', '.', '_') },
  )
  const words = (minLength: number) => fc.array(word, { minLength, maxLength: 2 }).map((list) => list.join(''))
  const size = fc.constantFrom(20, 30, 1000, maxLength, maxLength, maxLength)
  return fc
    .tuple(words(0), words(1), words(0), size)
    .map(([start, unit, end, length]) => start + unit.repeat(Math.ceil(length / unit.length)) + end)
}
