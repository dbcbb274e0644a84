// What the property tests found, as plain cases.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { parsePax } from '../../src/artifact/tar-header.ts'
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
import { cpuMsOf } from './cost.ts'

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

  it('a line of YAML with as many errors as characters takes no time, nor memory for each', () => {
    for (const text of ['}', ']', '{}'].map((part) => part.repeat(500_000))) {
      expect(
        cpuMsOf(() => expect(refusalOf(() => parseYaml(Buffer.from(text), 'data.yaml')).message).toMatch(/line 1/)),
      ).toBeLessThan(1000)
    }
    const { message } = refusalOf(() => parseYaml(Buffer.from('a: 1\nb: [1\n2: {\n'), 'data.yaml'))
    expect(message).toMatch(/^data.yaml is not valid YAML: .+ at line \d+, column \d+$/)
  })
  it('lists within lists that end early do not end the process', () => {
    const module = join(import.meta.dirname, '../../src/opa/json.ts')
    const program = `
      import { parseExactJson } from ${JSON.stringify(module)}
      const bytes = Buffer.from('[1,'.repeat(1500) + '{}')
      for (let time = 0; time < 500; time++) {
        try {
          parseExactJson(bytes, 'data.json')
        } catch (error) {
          if (error.code !== 'bad_bundle') throw error
        }
      }`
    const { status, signal } = spawnSync(process.execPath, ['--input-type=module', '-e', program])
    expect({ status, signal }).toEqual({ status: 0, signal: null })
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
