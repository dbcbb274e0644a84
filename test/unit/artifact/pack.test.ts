import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import fc from '../../support/fast-check.ts'
import { describe, expect, it } from 'vitest'
import { packTarGz, type PackFile } from '../../../src/artifact/pack.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { tempDir } from '../../support/temp.ts'
import { packFile, read, refusal } from './support.ts'

async function pack(files: PackFile[]) {
  const packed = await packTarGz(files, join(tempDir('pack'), 'out.tar.gz'))
  return { packed, bytes: readFileSync(packed.path) }
}

const files = [
  packFile('b/c/policy.rego', 'package c\n'),
  packFile('data.json', '{}'),
  packFile('b/a', 'x'.repeat(600)),
]

describe('packing', () => {
  it('gives what was put in, sorted, with folders before what is in them', async () => {
    const { bytes } = await pack(files)
    expect(Object.entries(await read(bytes))).toEqual([
      ['b', null],
      ['b/a', 'x'.repeat(600)],
      ['b/c', null],
      ['b/c/policy.rego', 'package c\n'],
      ['data.json', '{}'],
    ])
  })

  it('tells digests and size', async () => {
    const { packed, bytes } = await pack(files)
    expect(packed).toMatchObject({
      size: bytes.length,
      digest: digestOf(bytes),
      uncompressedDigest: digestOf(gunzipSync(bytes)),
    })
  })

  it('ends in exactly two zero blocks', async () => {
    const tar = gunzipSync((await pack([packFile('a', 'x')])).bytes)
    expect(tar.length).toBe(512 + 512 + 1024)
  })

  it('says nothing of time, user, machine', async () => {
    const { bytes } = await pack([packFile('a', 'x'), packFile('run', 'x', true)])
    expect(bytes.subarray(0, 10).toString('hex')).toBe('1f8b08000000000000ff')
    const tar = gunzipSync(bytes)
    expect(tar.toString('latin1', 100, 148)).toBe('0000644\x000000000\x000000000\x0000000000001\x0000000000000\0')
    expect(tar.toString('latin1', 265, 345).replaceAll('\0', '')).toBe('')
    expect(tar.toString('latin1', 1024 + 100, 1024 + 107)).toBe('0000755')
  })

  it('gives the bytes it always gave, on every machine', async () => {
    const text = Array.from({ length: 20_000 }, (_, at) => `{"id":${(at * 7919) % 10_007},"allow":${at % 3 === 0}}`)
    expect((await pack([...files, packFile('large/data.json', text.join('\n'))])).packed).toMatchObject({
      digest: 'sha256:62194c754661fab308748aed78a2499d4958bcdf02f15030ce3ed71b4d7e4183',
      uncompressedDigest: 'sha256:5b701370c0e9cb2daadc661cf93958e33da9cffe33086690ab49c9ceac83ef65',
    })
  })

  it('takes names of any length and script', async () => {
    const names = ['n'.repeat(100), 'n'.repeat(101), `${'d'.repeat(150)}/${'f'.repeat(200)}`, 'politík/größe.json']
    const { bytes } = await pack(names.map((name) => packFile(name, 'x')))
    const found = await read(bytes)
    expect(names.map((name) => found[name])).toEqual(names.map(() => 'x'))
  })

  it('leaves nothing when a file is not what it was', async () => {
    const path = join(tempDir('pack'), 'out')
    for (const size of [0, 2]) {
      const changed = { ...packFile('a', 'x'), size }
      expect(await refusal(packTarGz([changed], path))).toMatchObject({ code: 'size_mismatch', file: 'a' })
      expect(existsSync(path)).toBe(false)
    }
  })

  it('stops when it is aborted and leaves nothing', async () => {
    const path = join(tempDir('pack'), 'out')
    const controller = new AbortController()
    const endless: PackFile = {
      path: 'a',
      size: Number.MAX_SAFE_INTEGER % 8 ** 11,
      open: async function* () {
        yield Buffer.alloc(10)
        controller.abort(new Error('enough'))
        for (;;) yield Buffer.alloc(10)
      },
    }
    await expect(packTarGz([endless], path, controller.signal)).rejects.toThrow('enough')
    expect(existsSync(path)).toBe(false)
  })
})

const part = fc
  .string({
    minLength: 1,
    maxLength: 60,
    unit: fc.oneof(fc.constantFrom('a', 'b', '-', ' ', 'é', '漢'), fc.string({ minLength: 1, maxLength: 1 })),
  })
  .filter((name) => !/[/\0]/.test(name) && name !== '.' && name !== '..' && name.isWellFormed())
const path = fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('/'))
const tree = fc
  .uniqueArray(fc.tuple(path, fc.uint8Array({ maxLength: 2000 })), { selector: ([name]) => name, maxLength: 12 })
  .map((entries) =>
    entries.filter(([name], at) => !entries.some(([other], other_) => at !== other_ && other.startsWith(`${name}/`))),
  )

describe('for any files', () => {
  it('what is packed is what is read, whatever the order and the pieces they come in', async () => {
    await fc.assert(
      fc.asyncProperty(tree, fc.integer({ min: 1, max: 700 }), async (entries, pieceBytes) => {
        const inPieces = entries.toReversed().map(([name, content]) => ({
          ...packFile(name, Buffer.from(content)),
          open: async function* () {
            for (let at = 0; at < content.length; at += pieceBytes) yield content.subarray(at, at + pieceBytes)
          },
        }))
        const one = await pack(entries.map(([name, content]) => packFile(name, Buffer.from(content))))
        const other = await pack(inPieces)
        expect(one.bytes.equals(other.bytes)).toBe(true)
        const found = Object.entries(await read(one.bytes)).filter(([, content]) => content !== null)
        expect(new Map(found)).toEqual(
          new Map(entries.map(([name, content]) => [name, Buffer.from(content).toString()])),
        )
      }),
      { numRuns: 40 },
    )
  })
})
