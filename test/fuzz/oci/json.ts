import fc from 'fast-check'
import { IntegrityError } from '../../../src/lib/errors.ts'
import { parseJsonText } from '../../../src/lib/json.ts'
import { maxJsonDepth, parseJsonObject } from '../../../src/oci/json.ts'
import { parseManifest } from '../../../src/oci/manifest.ts'
import { ociManifest } from '../../../src/oci/media.ts'
import { hostileBytes } from '../mutate/bytes.ts'
import { pumped } from '../mutate/pumped.ts'
import { ok, outcome, property, same } from '../property.ts'
import { digest } from './manifests.ts'

/** As JSON writes it, and some of its characters as escapes though they need none. */
const escaped = (text: string, every: number) =>
  JSON.stringify(text).replace(/[a-z]/g, (letter, at: number, all: string) =>
    all[at - 1] !== '\\' && at % every === 0 ? `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}` : letter,
  )
const keyCharacters = fc.constantFrom('a', 'b', '\\', '\n', '"', '\ue000', ' ', ':')

const texts = fc.jsonValue({ maxDepth: 6 }).map((json) => JSON.stringify(json))

export const jsonProperties = [
  property(
    'JSON with escapes that was written',
    fc.tuple(
      fc.uniqueArray(fc.string({ unit: keyCharacters, maxLength: 4 }), { maxLength: 4 }),
      fc.constantFrom(1, 2, 100),
      fc.boolean(),
    ),
    ([names, every, isNested]) => {
      const members = names.map((name) => `${escaped(name, every)} :${escaped(name, every)}`)
      const text = isNested ? `[{"a\\\\":1},{"k":{${members.join(',')}}}]` : `{${members.join(',')}}`
      const value = parseJsonText(text)
      const object = isNested ? (value as [unknown, { k: object }])[1].k : (value as object)
      same(
        Object.entries(object),
        names.map((name) => [name, name]),
      )
    },
  ),
  property(
    'JSON',
    hostileBytes(
      texts.map((text) => Buffer.from(text)),
      ['{', '}', '[', '"', '\\', '\xff', '{"a":', '\ufeff', '[['.repeat(40)].map((text) => Buffer.from(text)),
    ),
    (bytes) => {
      const json = outcome(() => parseJsonObject(bytes, 'it'), IntegrityError, ['bad_manifest'])
      if (json === undefined) return
      same(json, JSON.parse(bytes.toString()))
      ok(depthOf(json) <= maxJsonDepth)
    },
  ),
  property('deep JSON', fc.tuple(fc.integer({ min: 60, max: 68 }), fc.boolean()), ([depth, inList]) => {
    const inner = inList ? '[]' : '{}'
    const [open, close] = inList ? ['[', ']'] : ['{"a":', '}']
    const text = `{"a":${open.repeat(depth - 2)}${inner}${close.repeat(depth - 2)}}`
    same(outcome(() => parseJsonObject(Buffer.from(text), 'it'), IntegrityError) !== undefined, depth <= maxJsonDepth)
  }),
  property('long JSON', pumped(texts, ['{', '[', '{"a":', '"', '\\', '[]', '{}', '1,']), (text) => {
    outcome(() => parseJsonObject(Buffer.from(text), 'it'), IntegrityError, ['bad_manifest'])
    outcome(() => parseManifest({ mediaType: ociManifest, digest, bytes: Buffer.from(text) }), IntegrityError)
  }),
]

/** How deep a value nests: 1 for `{}`. */
export function depthOf(json: unknown): number {
  return typeof json === 'object' && json !== null ? 1 + Math.max(0, ...Object.values(json).map(depthOf)) : 0
}
