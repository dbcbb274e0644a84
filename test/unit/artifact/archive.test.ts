import { randomBytes } from 'node:crypto'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { checksum, end, entry, file, limits, pax, read, refusal, save, tar, tarGz } from './support.ts'
import { readArchive } from '../../../src/artifact/archive.ts'

describe('reading', () => {
  it.each([
    ['tar', tar(file('a', '1'))],
    ['tar.gz', tarGz(file('a', '1'))],
    ['tar.zst', zstdCompressSync(tar(file('a', '1')))],
    ['a gzip of two members', Buffer.concat([gzipSync(file('a', '1')), gzipSync(end)])],
    ['a tar padded to 10 KiB, as GNU writes it', Buffer.concat([tar(file('a', '1')), Buffer.alloc(10240 - 2048)])],
    ['a header in the old form', tar(entry({ name: 'a', type: '\0', content: '1' }))],
    [
      'a header with GNU magic',
      tar(entry({ name: 'a', content: '1', edit: (header) => header.write('ustar  \0', 257, 'latin1') })),
    ],
    ['a name that says ./', tar(file('./a', '1'))],
    ['a comment for all, as git archive writes it', tar(pax({ comment: 'abc' }, 'g'), file('a', '1'))],
    ['an extended header with times', tar(pax({ mtime: '1.5' }), file('a', '1'))],
    [
      'a size in binary',
      tar(
        entry({ name: 'a', content: '1', edit: (header) => header.write('80' + '00'.repeat(10) + '01', 124, 'hex') }),
      ),
    ],
  ])('takes %s', async (_what, bytes) => {
    expect(await read(bytes)).toEqual({ a: '1' })
  })

  it('gives folders, files in them, and which are executable', async () => {
    const path = save(tar(entry({ name: 'd/', type: '5' }), entry({ name: 'd/run', content: '1', mode: 0o755 })))
    const entries = await Array.fromAsync(readArchive(path, { limits, leadingSlash: 'refuse' }))
    expect(entries).toMatchObject([
      { path: 'd', type: 'directory' },
      { path: 'd/run', type: 'file', size: 1, executable: true },
    ])
  })

  it('reads a whole content and skips one that nobody asks for', async () => {
    const big = randomBytes(600_000)
    const path = save(tarGz(file('skipped', big), file('read', big)))
    for await (const one of readArchive(path, { limits, leadingSlash: 'refuse' })) {
      if (one.path === 'read') expect(Buffer.concat(await Array.fromAsync(one.content())).equals(big)).toBe(true)
    }
  })

  it('takes long names, however they are written', async () => {
    const long = `${'d'.repeat(90)}/${'f'.repeat(90)}`
    const gnu = entry({ name: '././@LongLink', type: 'L', content: `${long}\0` })
    const split = entry({ name: 'f'.repeat(90), content: '1', edit: (header) => header.write('d'.repeat(90), 345) })
    for (const bytes of [tar(gnu, file('short', '1')), tar(pax({ path: long }), file('short', '1')), tar(split)]) {
      expect(await read(bytes)).toEqual({ [long]: '1' })
    }
  })

  it('does not take what GNU keeps in the place of the prefix for a name', async () => {
    const header = entry({
      name: 'a',
      content: '1',
      edit: (block) => {
        block.write('ustar  \0', 257, 'latin1')
        block.write('14000000000', 345, 'latin1')
      },
    })
    expect(await read(tar(header))).toEqual({ a: '1' })
  })

  it('takes a leading slash for the top of the archive where OPA may have written it', async () => {
    expect(await read(tar(file('/a/data.json', '1')), { leadingSlash: 'allow' })).toEqual({ 'a/data.json': '1' })
  })

  it('stops when it is aborted', async () => {
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(read(tarGz(file('a')), { signal })).rejects.toThrow('enough')
  })
})

describe('names that leave the folder', () => {
  it.each([
    ['..', '../evil'],
    ['.. in the middle', 'a/../../evil'],
    ['.. that would stay inside', 'a/../b'],
    ['.. at the end', 'a/..'],
    ['an absolute name', '/etc/passwd'],
  ])('%s', async (_what, name) => {
    expect(await refusal(read(tarGz(file(name))))).toMatchObject({ code: 'unsafe_path', file: name })
  })

  it('.. behind a leading slash that is allowed', async () => {
    const refused = await refusal(read(tarGz(file('/../evil')), { leadingSlash: 'allow' }))
    expect(refused).toMatchObject({ code: 'unsafe_path', file: '/../evil' })
  })

  it('a pax header that puts another name on a harmless entry', async () => {
    const bytes = tarGz(pax({ path: '../../evil' }), file('harmless'))
    expect(await refusal(read(bytes))).toMatchObject({ code: 'unsafe_path', file: '../../evil' })
  })

  it('a GNU long name that does', async () => {
    const bytes = tarGz(entry({ name: 'L', type: 'L', content: '../../evil\0' }), file('harmless'))
    expect(await refusal(read(bytes))).toMatchObject({ code: 'unsafe_path', file: '../../evil' })
  })

  it('a prefix that does', async () => {
    const bytes = tarGz(entry({ name: 'evil', edit: (header) => header.write('../..', 345) }))
    expect(await refusal(read(bytes))).toMatchObject({ code: 'unsafe_path', file: '../../evil' })
  })

  it('a NUL in a pax name', async () => {
    expect(await refusal(read(tarGz(pax({ path: 'a\0b' }), file('a'))))).toMatchObject({ code: 'unsafe_path' })
  })
})

describe('links and devices', () => {
  it.each([
    ['1', 'a hard link'],
    ['2', 'a symbolic link'],
    ['3', 'a character device'],
    ['4', 'a block device'],
    ['6', 'a named pipe'],
    ['S', 'a sparse file'],
    ['Z', 'unknown type'],
  ])('type %s, %s', async (type, what) => {
    const refused = await refusal(read(tarGz(file('a'), entry({ name: 'b/evil', type }))))
    expect(refused).toMatchObject({ code: 'unsafe_path', file: 'b/evil' })
    expect(refused.message).toContain(what)
  })

  it('a name that no path may have, for its length', async () => {
    const bytes = tarGz(file('a'), pax({ path: 'x'.repeat(5_000) }), file('b'))
    const refused = await refusal(read(bytes))
    expect(refused).toMatchObject({ code: 'unsafe_path' })
    expect(refused.message).toContain('more than 4096 bytes')
    expect(refused.message.length).toBeLessThan(500)
  })

  it('GHSA-fxhp-mv3v-67qp: a hard link whose relative target is resolved elsewhere', async () => {
    const link = entry({ name: 'a/link', type: '1', edit: (header) => header.write('../../.ssh/id_rsa', 157) })
    expect(await refusal(read(tarGz(link)))).toMatchObject({ code: 'unsafe_path', file: 'a/link' })
  })

  it('GHSA-m37j-52j7-pjw7: a chain of symbolic links, each of which looks harmless', async () => {
    const link = (name: string, target: string) =>
      entry({ name, type: '2', edit: (header) => header.write(target, 157) })
    const bytes = tarGz(link('a', '.'), link('a/b', '..'), file('a/b/evil'))
    expect(await refusal(read(bytes))).toMatchObject({ code: 'unsafe_path', file: 'a' })
  })

  it('a sparse file in a pax header', async () => {
    const bytes = tarGz(pax({ 'GNU.sparse.major': '1', path: 'a' }), file('a'))
    expect(await refusal(read(bytes))).toMatchObject({ code: 'unsafe_path' })
  })
})

describe('what is damaged', () => {
  const wrongSum = entry({ name: 'a', content: '1' })
  wrongSum[0] = 0x62
  const badSize = entry({ name: 'a', edit: (header) => header.write('99999999999', 124, 'latin1') })
  const negative = entry({ name: 'a', edit: (header) => header.write('ff'.repeat(12), 124, 'hex') })
  const notUtf8 = entry({ name: 'a', edit: (header) => header.writeUInt8(0xff, 0) })
  const gz = tarGz(file('a', Buffer.alloc(5000, 'abc')))
  const badCrc = Buffer.from(gz)
  badCrc.writeUInt32LE(1, badCrc.length - 8)

  it.each([
    ['nothing at all', Buffer.alloc(0)],
    ['no tar', Buffer.alloc(2048, 'garbage')],
    ['a gzip that is cut off', gz.subarray(0, gz.length - 20)],
    ['a gzip without its trailer', gz.subarray(0, gz.length - 8)],
    ['a gzip with another checksum', badCrc],
    ['a gzip that is damaged', Buffer.concat([gz.subarray(0, 20), Buffer.alloc(20, 7), gz.subarray(40)])],
    ['something behind the gzip', Buffer.concat([gz, Buffer.from('garbage')])],
    ['a zstd that is cut off', zstdCompressSync(tar(file('a'))).subarray(0, 30)],
    ['a wrong header checksum', gzipSync(Buffer.concat([wrongSum, end]))],
    ['a size that is no number', tarGz(badSize)],
    ['a negative size', tarGz(negative)],
    ['a name that is not UTF-8', tarGz(notUtf8)],
    ['a tar that is cut off in a file', gzipSync(entry({ name: 'a', content: '1', size: 5000 }))],
    ['a tar that is cut off in a block', gzipSync(tar(file('a')).subarray(0, 700))],
    ['a tar without an end', gzipSync(file('a'))],
    ['a tar with half an end', gzipSync(Buffer.concat([file('a'), Buffer.alloc(512)]))],
    ['a file behind the end', gzipSync(Buffer.concat([tar(file('a')), file('hidden'), end]))],
    ['a file behind one zero block', gzipSync(Buffer.concat([file('a'), Buffer.alloc(512), file('hidden'), end]))],
    ['a folder with content', tarGz(entry({ name: 'd/', type: '5', content: 'x' }))],
    ['a file whose name ends in a slash', tarGz(entry({ name: 'd/', type: '0', content: 'x' }))],
    ['a file without a name', tarGz(file('.'))],
    ['an extended header that is no record', tarGz(entry({ name: 'x', type: 'x', content: 'garbage' }), file('a'))],
    ['a record that is too long', tarGz(entry({ name: 'x', type: 'x', content: '99 path=b\n' }), file('a'))],
    ['a record without its end', tarGz(entry({ name: 'x', type: 'x', content: '9 path=bX' }), file('a'))],
    ['an empty name in a record', tarGz(pax({ path: '' }), file('a'))],
    ['a size in a record that is none', tarGz(pax({ size: '-1' }), file('a'))],
    ['two extended headers for one entry', tarGz(pax({ path: 'b' }), pax({ path: 'c' }), file('a'))],
    [
      'two long names for one entry',
      tarGz(entry({ name: 'L', type: 'L', content: 'b\0' }), pax({ path: 'c' }), file('a')),
    ],
    [
      'an extended header of 2 MiB',
      tarGz(entry({ name: 'x', type: 'x', content: Buffer.alloc(2 << 20, ' ') }), file('a')),
    ],
    ['an extended header without an entry', tarGz(pax({ path: 'b' }))],
    ['a name for every entry', tarGz(pax({ path: 'b' }, 'g'), file('a'))],
    ['a size for every entry', tarGz(pax({ size: '0' }, 'g'), file('a'))],
  ])('%s', async (_what, bytes) => {
    expect(await refusal(read(bytes))).toMatchObject({ code: 'bad_archive' })
  })

  it('is seen in the checksum, which counts bytes as unsigned or, as old tools do, as signed', async () => {
    const signed = entry({ name: 'é', content: '1' })
    const block = signed.subarray(0, 512)
    block.write('é', 0)
    checksum(block)
    expect(await read(tar(signed))).toEqual({ é: '1' })
    const sum = block.reduce(
      (total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte > 127 ? byte - 256 : byte),
      0,
    )
    block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
    expect(await read(tar(signed))).toEqual({ é: '1' })
  })
})

describe('one name, one thing', () => {
  it.each([
    ['a file twice', [file('a/b'), file('a/b')], 'a/b'],
    ['a file twice, written differently', [file('a/b'), file('./a//b')], 'a/b'],
    ['a file, then a folder', [file('a'), file('a/b')], 'a'],
    ['a folder, then a file', [file('a/b'), file('a')], 'a'],
    ['a folder entry, then a file', [entry({ name: 'a/', type: '5' }), file('a')], 'a'],
    ['a file, then a folder entry', [file('a'), entry({ name: 'a/', type: '5' })], 'a'],
  ])('%s', async (_what, entries, at) => {
    expect(await refusal(read(tarGz(...entries)))).toMatchObject({ code: 'bad_archive', file: at })
  })

  it('a folder may be there twice', async () => {
    const folder = entry({ name: 'd/', type: '5' })
    expect(await read(tar(folder, folder, file('d/a', '1')))).toEqual({ d: null, 'd/a': '1' })
  })
})

describe('limits', () => {
  it('too many entries', async () => {
    const many = Array.from({ length: 1001 }, (_, at) => file(`f${at}`, ''))
    expect(await refusal(read(tarGz(...many)))).toMatchObject({ code: 'bad_archive' })
    expect(Object.keys(await read(tarGz(...many.slice(1))))).toHaveLength(1000)
  })

  it('a file that claims too much, before it is read', async () => {
    const bytes = gzipSync(entry({ name: 'big', size: 8 * 1024 * 1024 + 1 }))
    expect(await refusal(read(bytes))).toMatchObject({ code: 'bad_archive', file: 'big' })
  })

  it('a bomb: much out of little', async () => {
    const bytes = tarGz(file('zeros', Buffer.alloc(7 * 1024 * 1024)))
    const refused = await refusal(read(bytes))
    expect(refused).toMatchObject({ code: 'bad_archive' })
    expect(refused.message).toContain('200 times')
  })

  it('a bomb in zstd', async () => {
    const bytes = zstdCompressSync(tar(file('zeros', Buffer.alloc(7 * 1024 * 1024))))
    expect((await refusal(read(bytes))).message).toContain('200 times')
  })

  it('a bomb behind the end of the archive', async () => {
    const bytes = gzipSync(Buffer.concat([tar(file('a')), Buffer.alloc(7 * 1024 * 1024)]))
    expect((await refusal(read(bytes))).message).toContain('200 times')
  })

  it('a small archive may expand as it likes', async () => {
    expect(await read(tarGz(file('zeros', Buffer.alloc(900_000))))).toHaveProperty('zeros')
  })

  it('too much in all', async () => {
    const bytes = tar(...Array.from({ length: 9 }, (_, at) => file(`f${at}`, Buffer.alloc(1024 * 1024))))
    const refused = await refusal(read(bytes, { limits: { ...limits, maxUnpackedBytes: 8 * 1024 * 1024 } }))
    expect(refused.message).toContain('8 MiB')
  })
})
