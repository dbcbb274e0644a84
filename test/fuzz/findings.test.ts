// What the property tests found, as plain cases.
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { parseServer } from '../../src/cli/server-address.ts'
import { parseConfigDocument } from '../../src/config/document.ts'
import { readEnvironment } from '../../src/config/environment.ts'
import { parseConfig } from '../../src/config/parse.ts'
import { configOf } from '../../src/config/read.ts'
import { substitute } from '../../src/config/substitute.ts'
import type { ConfigError } from '../../src/lib/errors.ts'
import { parsePax } from '../../src/artifact/tar-header.ts'
import { durationSchema } from '../../src/lib/schema.ts'
import { parseSchedule } from '../../src/lib/schedule.ts'
import { parseDuration, parseSize } from '../../src/lib/units.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { parseManifest } from '../../src/oci/manifest.ts'
import { ociConfig, ociIndex, ociManifest } from '../../src/oci/media.ts'
import { nextLink } from '../../src/oci/link.ts'
import { parsePlatform, selectPlatform } from '../../src/oci/platform.ts'
import { isHost, parseReference } from '../../src/oci/reference.ts'
import { BundleReader } from '../../src/opa/bundle.ts'
import { mergeDocuments, parseYaml } from '../../src/opa/data.ts'
import { roleOf } from '../../src/opa/files.ts'
import { parseJson } from '../../src/opa/json.ts'
import { completeManifest, parseOpaManifest, withoutLeadingSlashes } from '../../src/opa/manifest.ts'
import { packageOf } from '../../src/opa/rego.ts'
import { normalizeRoots, showRoots } from '../../src/opa/roots.ts'
import { readWaitSeconds } from '../../src/server/bundles/prefer.ts'
import { isNotModified } from '../../src/server/v2/etag.ts'
import { readRights } from '../../src/server/guard/rights.ts'
import { file, limits, pax, read, refusal, tar } from '../unit/artifact/support.ts'
import { refusalOf } from '../unit/opa/support.ts'

/** What grows with the square of its input, or worse, takes seconds for these. */
function cpuMsOf(run: () => unknown): number {
  const before = process.threadCpuUsage()
  run()
  const { user, system } = process.threadCpuUsage(before)
  return (user + system) / 1000
}

describe('names', () => {
  it('a platform may be called as objects call their own', () => {
    expect(parsePlatform('linux/__proto__')).toEqual({ os: 'linux', architecture: '__proto__' })
    expect(parsePlatform('linux/constructor')).toEqual({ os: 'linux', architecture: 'constructor' })
  })

  it('a host that only its capitals tell from a name is refused: written in lower case it would be another place', () => {
    expect(() => parseReference('Acme/app')).toThrow(/"acme" is no repository name/)
    expect(parseReference('Acme:443/app').host).toBe('acme:443')
  })
})

describe('config files', () => {
  it('thousands of aliases take no time', () => {
    for (const text of ['<<: *a\n'.repeat(2000), Array.from({ length: 2000 }, (_, at) => `b${at}: *a\n`).join('')]) {
      expect(cpuMsOf(() => expect(parseConfigDocument(text).problems[0]?.message).toMatch(/alias/))).toBeLessThan(1000)
    }
  })

  it('no message quotes what stands there, whatever ends the line', () => {
    expect(parseConfigDocument('|hunter2\u2028').problems).toEqual([
      { line: 1, message: 'not YAML: Block scalar header includes extra characters' },
    ])
  })
})

describe('archives', () => {
  it('an extended header without a blank after a whole record ends, as an error', () => {
    expect(() => parsePax(Buffer.from('9 path=a\n=='))).toThrow('damaged extended header')
    expect(() => parsePax(Buffer.from('5 a=\n5'))).toThrow('damaged extended header')
  })

  it('folders that names imply count as entries', async () => {
    const deep = (at: number) => pax({ path: `${at}${'/a'.repeat(200)}` })
    const bytes = tar(...Array.from({ length: 10 }, (_, at) => Buffer.concat([deep(at), file('x')])))
    expect(await refusal(read(bytes))).toMatchObject({ code: 'bad_archive' })
    expect(Object.keys(await read(bytes, { limits: { ...limits, maxEntries: 2010 } }))).toHaveLength(10)
  })

  it('a name may not nest without end', async () => {
    const nested = (depth: number) => gzipSync(tar(pax({ path: `${'a/'.repeat(depth)}x` }), file('x')))
    expect(await refusal(read(nested(256)))).toMatchObject({ code: 'unsafe_path' })
    expect(Object.keys(await read(nested(255)))).toHaveLength(1)
  })
})

describe('bundles', () => {
  it.each([
    ['many empty lines after the word package', `package${'\n'.repeat(40)}!`],
    ['many lines of blanks after it', `package${' \n'.repeat(50_000)}!`],
  ])('%s take no time', (_what, source) => {
    expect(cpuMsOf(() => expect(packageOf(source)).toBeUndefined())).toBeLessThan(1000)
  })

  it.each([
    ['blank lines', '\n'.repeat(10_000_000)],
    ['comments', '#\n'.repeat(5_000_000)],
  ])('millions of %s before a package are only that', (_what, front) => {
    expect(packageOf(`${front}package a.b`)).toEqual(['a', 'b'])
  })

  it('a package longer than any name is none, whatever it is made of', () => {
    for (const part of ['a', '\\\\', '."', ' ', 'é']) {
      expect(packageOf(`package a["${part.repeat(10_000_000)}"]\n`)).toSatisfy(
        (path) => path === undefined || Array.isArray(path),
      )
    }
  })

  it('roots full of slashes take no time', () => {
    const root = `a${'/'.repeat(100_000)}b`
    expect(cpuMsOf(() => expect(normalizeRoots([root, '//x//'], 'f')).toEqual([root, 'x']))).toBeLessThan(1000)
  })

  it('long roots, and many, are not shown in full', () => {
    const overlap = refusalOf(() => normalizeRoots(['a'.repeat(10_000), 'a'.repeat(10_000)], 'f'))
    expect(overlap.message.length).toBeLessThan(600)
    expect(showRoots(['a', 'b'])).toBe('["a", "b"]')
    expect(showRoots(Array.from({ length: 12 }, (_, at) => String(at)))).toMatch(/"9", and 2 more]$/)
  })

  it('what the YAML parser quotes is cut short', () => {
    const { message } = refusalOf(() => parseYaml(Buffer.from(`>${'{>'.repeat(10_000)}`), 'data.yaml'))
    expect(message.length).toBeLessThan(500)
  })

  it('many roots take no time', () => {
    const roots = Array.from({ length: 20_000 }, (_, at) => `a/b${at}`)
    expect(cpuMsOf(() => expect(normalizeRoots(roots, 'f')).toHaveLength(20_000))).toBeLessThan(1000)
  })

  it('data that nests deep in two files is refused, and not an error of ours', () => {
    const deep = (depth: number) => Buffer.from(`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`)
    const documents = (depth: number) =>
      ['data.json', 'data.json'].map((name) => ({ file: name, path: [], value: parseJson(deep(depth), name) }))
    expect(refusalOf(() => mergeDocuments(documents(20_000)))).toMatchObject({ code: 'bad_bundle' })
    // As deep as OPA reads: the two say different things of the innermost place.
    expect(refusalOf(() => mergeDocuments(documents(10_000))).message).toContain('already')
  })

  it.each([
    ['!!binary aGk=', 'hi'],
    ['!!timestamp 2001-01-01', '2001-01-01'],
    ['!!set { a, b }', { a: null, b: null }],
    ['!!omap [ a: 1 ]', [{ a: 1n }]],
  ])('YAML %s is plain data', (text, value) => {
    expect(parseYaml(Buffer.from(`x: ${text}`), 'data.yaml')).toEqual({ x: value })
  })
})

describe('files of bundles', () => {
  it.each(['constructor', 'a/toString', 'a/__proto__'])('%s is a file like any other', (path) => {
    expect(roleOf(path)).toBeUndefined()
    const reader = new BundleReader()
    reader.add({ path, name: path, size: 0 })
    expect(reader.finish().ignored).toEqual([path])
  })
})

describe('names in JSON that Go takes for one another', () => {
  const digest = digestOf('x')
  const config = { mediaType: ociConfig, digest, size: 1 }
  const parse = (json: unknown) =>
    parseManifest({ mediaType: ociManifest, digest, bytes: Buffer.from(JSON.stringify(json)) })

  it.each([
    ['a second list of layers (CVE-2021-41190)', { schemaVersion: 2, config, layers: [], Layers: [config] }],
    ['members beside layers (CVE-2021-41190)', { schemaVersion: 2, config, layers: [], MANIFESTS: [config] }],
    ['letters that only look alike', { schemaVersion: 2, config, layers: [], 'layer\u017f': [config] }],
    ['a second digest', { schemaVersion: 2, config: { ...config, Digest: digestOf('y') }, layers: [] }],
  ])('a manifest with %s is refused', (_what, json) => {
    expect(refusalOf(() => parse(json))).toMatchObject({ code: 'bad_manifest' })
    expect(parse({ schemaVersion: 2, config, layers: [], other: 1, Other: 2 }).kind).toBe('image')
  })

  it('a size of -0 is none', () => {
    const text = JSON.stringify({ schemaVersion: 2, config, layers: [] }).replace('"size":1', '"size":-0')
    const manifest = parseManifest({ mediaType: ociManifest, digest, bytes: Buffer.from(text) })
    expect(manifest).toMatchObject({ config: { size: 0 } })
  })

  it('.manifest is read as OPA reads it', () => {
    const bytes = Buffer.from(
      '{"revision":"a","Roots":["x"],"REVISION":"b","wasm":[{"Entrypoint":"x/y","MODULE":"/p.wasm"}]}',
    )
    expect(parseOpaManifest(bytes, '.manifest')).toMatchObject({
      revision: 'b',
      roots: ['x'],
      wasm: [{ entrypoint: 'x/y', module: '/p.wasm' }],
    })
    const changes = withoutLeadingSlashes(bytes, '.manifest')
    const written = completeManifest(bytes, '.manifest', { ...changes, revision: 'c' })
    expect(JSON.parse(written.toString())).toEqual({
      revision: 'c',
      Roots: ['x'],
      wasm: [{ entrypoint: 'x/y', module: 'p.wasm' }],
    })
  })
})

describe('references', () => {
  it.each(['[::::]', '[.]', '1.2.3.4.5', '256.0.0.1', '0x7f.1', '127.1', '0.1:80', '[::1', 'a.0x1'])(
    '%s is no host that can be asked',
    (host) => {
      expect(isHost(host)).toBe(false)
      expect(() => parseReference(`${host}/a/b`)).toThrow(expect.objectContaining({ code: 'bad_reference' }) as Error)
    },
  )

  it.each([
    '127.0.0.1',
    '127.0.0.1:5000',
    '[::1]',
    '[0:0::1]:5000',
    'a.1b',
    'xn--bcher-kva.example',
    'LOCALHOST:5000',
    '1password.com',
  ])('%s is one', (host) => {
    expect(isHost(host)).toBe(true)
  })
})

describe('members of an index', () => {
  it.each(['linux/arm64', 'linux/arm64/v8', 'linux/arm/v7'])(
    'the only one, without a platform, is for %s too',
    (platform) => {
      const member = { mediaType: ociManifest, digest: digestOf('x'), size: 1 }
      expect(selectPlatform({ kind: 'index', mediaType: ociIndex, manifests: [member] }, platform)).toBe(member)
    },
  )
})

describe('headers', () => {
  it('Prefer full of quotes takes no time', () => {
    expect(cpuMsOf(() => readWaitSeconds(`"${'\\"'.repeat(50_000)}`))).toBeLessThan(1000)
    expect(cpuMsOf(() => readWaitSeconds(`"${'\\"'.repeat(50_000)}\\`))).toBeLessThan(1000)
  })

  it('Link full of angles takes no time', () => {
    expect(cpuMsOf(() => nextLink(['<'.repeat(100_000)]))).toBeLessThan(1000)
  })

  it('Link: what is quoted is no relation, and the first rel counts', () => {
    expect(nextLink(['<a>; title="x; rel=next"; rel="prev"'])).toBeUndefined()
    expect(nextLink(['<a>; title="x; rel=prev"; rel="next"'])).toBe('a')
    expect(nextLink(['<a>; rel=prev; rel=next'])).toBeUndefined()
  })

  it('a weak star is no entity tag', () => {
    expect(isNotModified('W/*', '"a"')).toBe(false)
    expect(isNotModified('"b", *', '"a"')).toBe(true)
  })

  it('rights with many stars take no time', () => {
    const may = readRights([{ action: 'read', pattern: '*a*a*a*a*a*a*a*a*b' }])
    expect(cpuMsOf(() => expect(may('read', 'a'.repeat(255))).toBe(false))).toBeLessThan(1000)
  })
})

describe('the config', () => {
  it.each(['9'.repeat(400) + 'd', '40000d', '9007199254740993ms'])('%s is no duration', (text) => {
    expect(parseDuration(text)).toBeUndefined()
    expect(durationSchema.safeParse(text).error?.issues[0]?.message).toContain('at most 36500d')
  })

  it.each(['9'.repeat(400) + 'B', '8192TiB'])('%s is no size', (text) => {
    expect(parseSize(text)).toBeUndefined()
  })

  it.each([
    '0-99999999 * * * *',
    '100 * * * *',
    `@daily${'*'.repeat(10_000)}`,
    '23 23 1,2 * */5 *monmonmonmonmonmonmonmonmonmonmon',
    '* * * * *decdecdecdec',
    '0-decdecdecdec * * * *',
    '0-9dec9dec9dec * * * *',
  ])('%s is no schedule, and said to be none at once', (text) => {
    const bad = expect.objectContaining({
      code: 'bad_schedule',
      message: expect.toSatisfy((message: string) => message.length < 500),
    }) as Error
    expect(cpuMsOf(() => expect(() => parseSchedule(text)).toThrow(bad))).toBeLessThan(1000)
  })

  it('values that name each other ten thousand times are a problem, not an error of ours', () => {
    const meta = Object.fromEntries(Array.from({ length: 9000 }, (_, at) => [`a${at}`, `\${meta.a${at + 1}}`]))
    const { problems } = substitute('${meta.a0}', { environment: () => undefined, meta })
    expect(problems).toHaveLength(1)
  })

  it('a server named with many slashes takes no time', () => {
    expect(cpuMsOf(() => parseServer(`http://h/${'/'.repeat(100_000)}x//`))).toBeLessThan(1000)
  })

  it('a `$${` in quotes does not take the brace behind them', () => {
    expect(parseConfigDocument('{ "a": "$${" }')).toMatchObject({ value: { a: '$${' }, problems: [] })
    expect(parseConfigDocument('{ a: $${x}, b: ${x} }')).toMatchObject({
      value: { a: '$${x}', b: '${x}' },
      problems: [],
    })
  })

  it('keys within keys within keys are a problem, said at once', () => {
    expect(cpuMsOf(() => parseConfigDocument('? '.repeat(2_000)))).toBeLessThan(1000)
    expect(parseConfigDocument('a: 1\n? [b]\n: 2\n').problems).toEqual([
      expect.objectContaining({ line: 2, message: 'a key is text, this one is a list or a mapping' }),
    ])
  })

  it('a key that many bundles have wrong, and one of 300,000 characters, are said at once and in few words', async () => {
    const store = { type: 'local', repository: 'a' }
    const bundles = Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`b${at}`, { store, x: 1 }]))
    const problemsOf = async (value: unknown) => {
      const place = { name: 'longshore.yaml', file: null, folder: '/nowhere' }
      const parsed = parseConfig(configOf(value), place, { environment: readEnvironment({}) })
      return parsed.then(
        () => [],
        (error: ConfigError) => error.problems,
      )
    }
    const before = process.threadCpuUsage()
    expect(await problemsOf({ bundles })).toHaveLength(500)
    const [problem] = await problemsOf({ server: { limits: { ['m'.repeat(300_000)]: 1 } } })
    const { user, system } = process.threadCpuUsage(before)
    expect((user + system) / 1000).toBeLessThan(1000)
    expect(problem!.message.length + problem!.key!.length).toBeLessThan(5000)
  })

  it('a tag of YAML does not make bytes of text', () => {
    expect(parseConfigDocument('a: !!binary aGk=').problems).toHaveLength(1)
  })
})
