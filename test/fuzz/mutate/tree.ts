import fc from 'fast-check'
import { pooled } from './pool.ts'
import { type TextMutation, hostileText, mutateText, place, textMutation } from './text.ts'

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
      write(slot, copyOf(mutation.value))
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
      write(slot, copyOf(read(slots[mutation.from % slots.length]!)))
      break
    case 'text':
      if (typeof value === 'string') write(slot, mutateText(value, mutation.mutation))
      else if (typeof value === 'number') write(slot, Number(mutateText(String(value), mutation.mutation)))
  }
  return root
}

/** Of what JSON can say; much faster than structuredClone for what is small. */
function copyOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyOf)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, copyOf(inner)]))
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

/** Documents of JSON's kind: as values, most of them mutated in their structure. */
export function hostileTree(
  valid: fc.Arbitrary<unknown>,
  tokens: readonly string[],
  keys: readonly string[],
): fc.Arbitrary<unknown> {
  const mutations = fc.array(treeMutation(tokens, keys), { minLength: 1, maxLength: 4 })
  return fc.oneof(
    {
      weight: 8,
      arbitrary: fc
        .tuple(pooled(valid), mutations)
        .map(([value, list]) => list.reduce(mutateTree, { top: copyOf(value) }).top),
    },
    { weight: 1, arbitrary: valid },
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
