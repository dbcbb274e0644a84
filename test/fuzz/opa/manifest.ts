import fc from 'fast-check'
import { IntegrityError } from '../../../src/lib/errors.ts'
import { completeManifest, parseOpaManifest, withoutLeadingSlashes } from '../../../src/opa/manifest.ts'
import { hasRootBelow, isUnderRoots, normalizeRoots, rootsOverlap, showRoots } from '../../../src/opa/roots.ts'
import { parseSignatures } from '../../../src/opa/signatures.ts'
import { pumped } from '../mutate/pumped.ts'
import { hostileJson } from '../mutate/tree.ts'
import { ok, outcome, property, same } from '../property.ts'

export const bad = ['bad_bundle']
export const name = fc.stringMatching(/^[a-z_][a-z0-9_]{0,4}$/)
const rootTexts = fc.oneof(
  fc.constantFrom('', 'a', 'a/b', '/a/b/', 'ab', 'a//b', '/'),
  fc.array(name, { maxLength: 3 }).map((parts) => parts.join('/')),
)
const rootLists = fc.uniqueArray(rootTexts, { maxLength: 4 })
const paths = fc.array(fc.constantFrom('a', 'b', 'ab', ''), { maxLength: 4 })

export const manifests = fc.record(
  {
    revision: fc.string({ maxLength: 6 }),
    roots: rootLists,
    wasm: fc.array(
      fc.record(
        { entrypoint: rootTexts, module: fc.constantFrom('/policy.wasm', 'policy.wasm', 'a/policy.wasm') },
        { requiredKeys: [] },
      ),
      { maxLength: 2 },
    ),
    rego_version: fc.constantFrom(0, 1, 2),
    file_rego_versions: fc.dictionary(fc.constantFrom('/a/*.rego', 'b.rego', '__proto__'), fc.constantFrom(0, 1, 2)),
    metadata: fc.dictionary(name, fc.jsonValue({ maxDepth: 2 })),
  },
  { requiredKeys: [] },
)
const manifestKeys = [
  'revision',
  'roots',
  'wasm',
  'rego_version',
  'file_rego_versions',
  'metadata',
  'entrypoint',
  'module',
  'Roots',
  'REVISION',
]

export const manifestProperties = [
  property(
    '.manifest',
    hostileJson(manifests, ['a/b', '/', '', '1e400', '12345678901234567890'], manifestKeys),
    (text) => {
      const bytes = Buffer.from(text)
      const manifest = outcome(() => parseOpaManifest(bytes, '.manifest'), IntegrityError, bad)
      if (manifest === undefined) return
      ok(manifest.revision !== '' && manifest.roots.every((root) => !root.startsWith('/') && !root.endsWith('/')))
      for (const [at, root] of manifest.roots.entries())
        ok(manifest.roots.slice(at + 1).every((other) => !rootsOverlap(root, other)))
      // What is written again says the same, but for what was set.
      const changed = withoutLeadingSlashes(bytes, '.manifest')
      const again = parseOpaManifest(completeManifest(bytes, '.manifest', { ...changed, revision: 'new' }), '.manifest')
      same(
        { ...again, revision: null, wasm: [], fileRegoVersions: {} },
        { ...manifest, revision: null, wasm: [], fileRegoVersions: {} },
      )
      same(again.revision, 'new')
      same(
        again.wasm.map(({ module }) => module),
        manifest.wasm.map(({ module }) => module.replace(/^\/+/, '')),
      )
      same(withoutLeadingSlashes(completeManifest(bytes, '.manifest', changed), '.manifest'), {})
    },
  ),
  property(
    '.signatures.json that was written',
    fc
      .array(
        fc.constantFrom<[part: string, isSound: boolean]>(
          ['e30', true],
          ['a-_Z9', true],
          ['', false],
          ['e3+0', false],
          ['e30=', false],
          ['é', false],
        ),
        { minLength: 2, maxLength: 3 },
      )
      .chain((around) =>
        fc.tuple(
          fc.constant(around),
          fc.constantFrom<[payload: string, isSound: boolean]>(
            ['{"files":[]}', true],
            ['{"files":[{"name":"a"}]}', true],
            ['{"files":{}}', false],
            ['{}', false],
            ['[]', false],
            ['null', false],
            ['x', false],
          ),
          fc.constantFrom(0, 1, 1, 1, 1, 2),
        ),
      ),
    ([around, [payload, hasFiles], count]) => {
      const [first, last, ...more] = around.map(([part]) => part)
      const token = [first, Buffer.from(payload).toString('base64url'), last, ...more].join('.')
      const isSound = count === 1 && hasFiles && around.length === 2 && around.every(([, sound]) => sound)
      const bytes = Buffer.from(JSON.stringify({ signatures: Array.from({ length: count }, () => token) }))
      same(
        outcome(() => parseSignatures(bytes, '.signatures.json'), IntegrityError, bad),
        isSound ? token : undefined,
      )
    },
  ),
  property(
    'long .manifest',
    pumped(
      manifests.map((value) => JSON.stringify(value)),
      ['{', '[', '{"a":', '"', '\\', '1,', '"roots":[', '"/",'],
    ),
    (text) => {
      outcome(() => parseOpaManifest(Buffer.from(text), '.manifest'), IntegrityError, bad)
      outcome(() => completeManifest(Buffer.from(text), '.manifest', { revision: 'x' }), IntegrityError, bad)
      outcome(() => withoutLeadingSlashes(Buffer.from(text), '.manifest'), IntegrityError, bad)
      outcome(() => parseSignatures(Buffer.from(text), '.signatures.json'), IntegrityError, bad)
    },
  ),
  property('roots', fc.tuple(rootLists, paths), ([roots, path]) => {
    const found = outcome(() => normalizeRoots(roots, '.manifest'), IntegrityError, bad)
    const bare = roots.map((root) => root.split('/').join(' ').trim().split(' ').join('/'))
    const overlap = bare.some((root, at) =>
      bare
        .slice(at + 1)
        .some(
          (other) =>
            `${root}/`.startsWith(`${other}/`) || `${other}/`.startsWith(`${root}/`) || root === '' || other === '',
        ),
    )
    same(found, overlap ? undefined : bare)
    const [one, other] = bare
    if (one !== undefined && other !== undefined && bare.length === 2) same(rootsOverlap(one, other), overlap)
    same(JSON.parse(showRoots(bare)), bare)
    const text = path.join('/')
    if (path.length > 0)
      same(
        isUnderRoots(bare, path),
        bare.some((root) => root === '' || `${text}/`.startsWith(`${root}/`)),
      )
    if (path.length > 0)
      same(
        hasRootBelow(bare, path),
        bare.some((root) => `${root}/`.startsWith(`${text}/`) || text === ''),
      )
  }),
  property(
    'long roots',
    fc.oneof(
      {
        weight: 9,
        arbitrary: pumped(rootTexts, ['/', 'a/', '/a', 'a']).map((text) => [text, `${text}x`]),
      },
      {
        weight: 1,
        arbitrary: fc
          .tuple(
            fc.constantFrom('a', 'a/', '/'),
            fc.oneof(
              { weight: 19, arbitrary: fc.constantFrom(10, 20, 100) },
              { weight: 1, arbitrary: fc.constant(20_000) },
            ),
          )
          .map(([front, count]) => Array.from({ length: count }, (_, at) => `${front}${at}`)),
      },
    ),
    (roots) => {
      outcome(() => normalizeRoots(roots, '.manifest'), IntegrityError, bad)
    },
  ),
  property(
    '.signatures.json',
    hostileJson(
      fc.record({
        signatures: fc.array(
          fc
            .record({ files: fc.array(fc.record({ name: fc.string(), hash: fc.string() })) })
            .map(
              (payload) => `eyJhbGciOiJIUzI1NiJ9.${Buffer.from(JSON.stringify(payload)).toString('base64url')}.c2ln`,
            ),
          { maxLength: 2 },
        ),
      }),
      ['.', 'e30', 'bnVsbA'],
      ['signatures', 'files'],
    ),
    (text) => {
      const signature = outcome(() => parseSignatures(Buffer.from(text), '.signatures.json'), IntegrityError, bad)
      if (signature !== undefined) same(signature.split('.').length, 3)
    },
  ),
]
