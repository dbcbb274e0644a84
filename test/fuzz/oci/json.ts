import fc from 'fast-check'
import { IntegrityError } from '../../../src/lib/errors.ts'
import { maxJsonDepth, parseJsonObject } from '../../../src/oci/json.ts'
import { parseManifest } from '../../../src/oci/manifest.ts'
import { ociManifest } from '../../../src/oci/media.ts'
import { hostileBytes } from '../mutate/bytes.ts'
import { pumped } from '../mutate/pumped.ts'
import { ok, outcome, property, same } from '../property.ts'
import { digest } from './manifests.ts'

export const jsonProperties = [
  property(
    'JSON',
    hostileBytes(
      fc.jsonValue({ maxDepth: 6 }).map((json) => Buffer.from(JSON.stringify(json))),
      ['{', '}', '[', '"', '\\', '\xff', '{"a":', '\ufeff', '[['.repeat(40)].map((text) => Buffer.from(text)),
    ),
    (bytes) => {
      const json = outcome(() => parseJsonObject(bytes, 'it'), IntegrityError, ['bad_manifest'])
      if (json === undefined) return
      same(json, JSON.parse(bytes.toString()))
      ok(depthOf(json) <= maxJsonDepth)
    },
  ),
  property(
    'deep JSON',
    fc.tuple(fc.integer({ min: 60, max: 68 }), fc.boolean()),
    ([depth, inList]) => {
      const inner = inList ? '[]' : '{}'
      const [open, close] = inList ? ['[', ']'] : ['{"a":', '}']
      const text = `{"a":${open.repeat(depth - 2)}${inner}${close.repeat(depth - 2)}}`
      same(outcome(() => parseJsonObject(Buffer.from(text), 'it'), IntegrityError) !== undefined, depth <= maxJsonDepth)
    },
    { share: 0.1 },
  ),
  property(
    'long JSON',
    pumped(['{', '[', '{"a":', '"', '\\', '[]', '{}', '1,']),
    (text) => {
      outcome(() => parseJsonObject(Buffer.from(text), 'it'), IntegrityError, ['bad_manifest'])
      outcome(() => parseManifest({ mediaType: ociManifest, digest, bytes: Buffer.from(text) }), IntegrityError)
    },
    { share: 0.1 },
  ),
]

/** How deep a value nests: 1 for `{}`. */
export function depthOf(json: unknown): number {
  return typeof json === 'object' && json !== null ? 1 + Math.max(0, ...Object.values(json).map(depthOf)) : 0
}
