import { mkdirSync, readdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { buildBundle, type BuildOptions } from '../../../src/artifact/build.ts'
import { summarize } from '../../../src/artifact/inspect.ts'
import { ConfigError } from '../../../src/lib/errors.ts'
import { tempDir } from '../../support/temp.ts'
import { file, folder, limits, read, refusal, save, tarGz } from './support.ts'

const sources = { 'authz/policy.rego': 'package authz\n', 'users/data.json': '{"ann":true}' }

async function build(dirs: string[], options: Partial<BuildOptions> = {}) {
  const output = join(tempDir('build'), 'bundle.tar.gz')
  const built = await buildBundle({ dirs, output, ...options })
  const all = await read(readFileSync(output))
  const files = Object.fromEntries(Object.entries(all).filter(([, content]) => content !== null))
  return { ...built, files }
}

describe('building a bundle', () => {
  it('of a folder gives its files and a revision of its content', async () => {
    const { files, facts, packed } = await build([folder(sources)])
    expect(facts.manifest.revision).toMatch(/^sha256-/)
    expect(files).toEqual({ ...sources, '.manifest': `{"revision":"${facts.manifest.revision}"}\n` })
    expect(packed.path).toMatch(/bundle\.tar\.gz$/)
  })

  it('gives the same bytes for the same files, whatever folder, order and time', async () => {
    const one = folder(sources)
    const other = folder(Object.fromEntries(Object.entries(sources).reverse()))
    utimesSync(join(other, 'authz/policy.rego'), 1, 1)
    const [a, b] = [await build([one]), await build([other])]
    expect(a.packed.digest).toBe(b.packed.digest)
  })

  it('takes the revision and the roots that it is told', async () => {
    const dir = folder({ ...sources, '.manifest': '{"revision":"old","metadata":{"by":"ann"}}' })
    const { files } = await build([dir], { revision: 'v2', roots: ['authz', 'users'] })
    expect(JSON.parse(files['.manifest']!)).toEqual({
      revision: 'v2',
      roots: ['authz', 'users'],
      metadata: { by: 'ann' },
    })
  })

  it('leaves a manifest that has a revision as it is', async () => {
    const own = '{ "revision": "1.0.0" }'
    expect((await build([folder({ ...sources, '.manifest': own })])).files).toHaveProperty('.manifest', own)
  })

  it('puts several folders together', async () => {
    const { files } = await build([folder({ 'a.rego': 'package a' }), folder({ 'b.rego': 'package b' })])
    expect(Object.keys(files)).toEqual(['.manifest', 'a.rego', 'b.rego'])
  })

  it('refuses a file that two folders hold, and names both', async () => {
    const [one, other] = [folder({ 'a/data.json': '{}' }), folder({ 'a/data.json': '{}' })]
    const refused = await refusal(build([one, other]))
    expect(refused).toMatchObject({ code: 'bad_archive', file: 'a/data.json' })
    expect(refused.message).toMatch(new RegExp(`is in ${one} and also in ${other}`))
  })

  it('warns of files that OPA will not load, and keeps them', async () => {
    const { files, warnings } = await build([folder({ ...sources, 'README.md': 'read me' })])
    expect(files).toHaveProperty(['README.md'])
    expect(warnings).toEqual(['README.md is in the bundle, but OPA does not load it'])
  })

  it('leaves hidden files out, and what it is told to ignore', async () => {
    const dir = folder({
      ...sources,
      '.env': 'SECRET=1',
      '.git/config': '',
      'notes.md': '',
      'docs/x/data.json': '{}',
      'a_test.rego': 'package t',
    })
    const { files, warnings } = await build([dir], { ignore: ['*.md', 'docs/**', '*_test.rego'] })
    expect(Object.keys(files)).toEqual(['.manifest', 'authz/policy.rego', 'users/data.json'])
    expect(warnings).toEqual([])
  })

  it('does not follow links, and says so', async () => {
    const dir = folder(sources)
    symlinkSync('/etc', join(dir, 'etc'))
    const { files, warnings } = await build([dir])
    expect(Object.keys(files)).toEqual(['.manifest', 'authz/policy.rego', 'users/data.json'])
    expect(warnings).toEqual([`${dir}: etc is no regular file, it is left out`])
  })

  it.each([
    ['JSON', { 'a/data.json': '{' }, 'a/data.json'],
    ['a policy outside of the roots', { '.manifest': '{"roots":["b"]}', 'a.rego': 'package a' }, 'a.rego'],
  ])('refuses what OPA would: %s', async (_what, files, at) => {
    expect(await refusal(build([folder(files)]))).toMatchObject({ code: 'bad_bundle', file: at })
  })

  it('refuses folders with nothing for OPA', async () => {
    expect(await refusal(build([folder({ 'README.md': '' })]))).toMatchObject({ code: 'unsupported_artifact' })
  })

  it('refuses another revision for a signed bundle', async () => {
    const payload = Buffer.from('{"files":[]}').toString('base64url')
    const dir = folder({
      ...sources,
      '.signatures.json': `{"signatures":["e30.${payload}.c2ln"]}`,
      '.manifest': '{"revision":"1"}',
    })
    expect(await refusal(build([dir], { revision: '2' }))).toMatchObject({ code: 'bad_bundle', file: '.manifest' })
    expect((await build([dir])).facts).toMatchObject({ signed: true, manifest: { revision: '1' } })
  })

  it('leaves the file that was there when it fails, and nothing beside it', async () => {
    const out = tempDir('build')
    writeFileSync(join(out, 'b.tar.gz'), 'before')
    await refusal(buildBundle({ dirs: [folder({ 'data.json': '{' })], output: join(out, 'b.tar.gz') }))
    expect(readdirSync(out)).toEqual(['b.tar.gz'])
    expect(readFileSync(join(out, 'b.tar.gz'), 'utf8')).toBe('before')
  })

  it.each([
    ['a folder that is not there', ['/nowhere/at/all'], 'bundle.tar.gz'],
    ['a file in place of a folder', [join(folder({ a: '' }), 'a')], 'bundle.tar.gz'],
    ['an output whose folder is not there', [folder(sources)], 'no/bundle.tar.gz'],
  ])("is the user's to mend: %s", async (_what, dirs, output) => {
    const promise = buildBundle({ dirs, output: join(tempDir('build'), output) })
    await expect(promise).rejects.toThrow(ConfigError)
  })

  it('keeps to its limits', async () => {
    const dir = folder({ 'data.json': JSON.stringify('x'.repeat(2000)) })
    for (const over of [{ maxFileBytes: 1000 }, { maxUnpackedBytes: 1000 }, { maxEntries: 0 }]) {
      expect(await refusal(build([dir], { limits: { ...limits, ...over } }))).toMatchObject({ code: 'bad_archive' })
    }
  })

  it('stops when it is aborted', async () => {
    mkdirSync(join(tempDir('build'), 'x'))
    await expect(build([folder(sources)], { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow()
  })
})

describe('the summary of a bundle', () => {
  it('lists files, packages, roots, revision and what OPA ignores', async () => {
    const bytes = tarGz(
      file('/.manifest', '{"revision":"v1","roots":["a","b"]}'),
      file('/b/data.yaml', 'x: 1'),
      file('/a/p.rego', 'package a.p["q r"]'),
      file('/README.md', 'hello'),
    )
    expect(await summarize(save(bytes), limits)).toEqual({
      files: [
        { path: '.manifest', size: 35 },
        { path: 'README.md', size: 5 },
        { path: 'a/p.rego', size: 18 },
        { path: 'b/data.yaml', size: 4 },
      ],
      ignored: ['README.md'],
      packages: ['a.p["q r"]'],
      roots: ['a', 'b'],
      revision: 'v1',
      signed: false,
    })
  })

  it('refuses what is no archive', async () => {
    expect(await refusal(summarize(save(Buffer.from('garbage')), limits))).toMatchObject({ code: 'bad_archive' })
  })
})
