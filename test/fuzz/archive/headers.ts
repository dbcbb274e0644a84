import { resolve } from 'node:path'
import fc from 'fast-check'
import { parentsOf, safePath } from '../../../src/artifact/names.ts'
import { blockBytes, encodeHeader, parseHeader, parsePax, paxRecord } from '../../../src/artifact/tar-header.ts'
import { IntegrityError } from '../../../src/lib/errors.ts'
import { hostileBytes } from '../mutate/bytes.ts'
import { pumped } from '../mutate/pumped.ts'
import { hostileText } from '../mutate/text.ts'
import { ok, outcome, property, same } from '../property.ts'
import { block, entries, keys, names, sign, write } from './written.ts'

const records = fc
  .array(fc.tuple(keys, names), { maxLength: 3 })
  .map((list) => Buffer.concat(list.map(([key, value]) => paxRecord(key, value))))

export const headerProperties = [
  property(
    'tar headers',
    hostileBytes(
      entries.map((entry) => write({ ...entry, records: [] }).subarray(0, blockBytes)),
      [Buffer.from('7777'), Buffer.from([0x80]), Buffer.from([0xff, 0xff]), Buffer.from(' '), Buffer.from('8')],
      4,
    ),
    (bytes) => {
      for (const sure of [false, true]) {
        const header = Buffer.alloc(blockBytes)
        bytes.copy(header)
        if (sure) sign(header)
        const found = outcome(() => parseHeader(header), IntegrityError, ['bad_archive'])
        if (found === undefined) continue
        ok(
          Number.isSafeInteger(found.size) &&
            found.size >= 0 &&
            found.mode >= 0 &&
            found.mode <= 0o777 &&
            found.type.length === 1,
        )
        ok(!found.name.includes('\0'))
      }
    },
  ),
  property(
    'tar headers that were written',
    fc.tuple(
      fc.stringMatching(/^[a-z/.]{1,100}$/),
      fc.nat({ max: 8 ** 11 - 1 }),
      fc.nat({ max: 0o777 }),
      fc.constantFrom('0', '5'),
    ),
    ([name, size, mode, type]) => {
      same(parseHeader(encodeHeader({ name, type, size, mode })), { name, type, size, mode })
    },
  ),
  property(
    'tar headers as other tools write them',
    fc.tuple(
      fc.stringMatching(/^[a-zé]{1,20}$/),
      fc.constantFrom('ustar' as const, 'gnu' as const, 'v7' as const, 'star' as const),
      fc.boolean(),
      fc.constantFrom('unsigned' as const, 'signed' as const, 'wrong' as const),
    ),
    ([name, magic, hasPrefix, sum]) => {
      const header = block('', '0', Buffer.alloc(0), 0o644, magic, hasPrefix)
      header.write(name, 0, 'utf8')
      sign(header, sum === 'signed' ? 'signed' : 'unsigned')
      if (sum === 'wrong') header[153]! ^= 1
      // GNU and v7 have other things where ustar has the front of a long name.
      const front = hasPrefix && ['ustar', 'star'].includes(magic) ? 'pre/fix/' : ''
      const found = outcome(() => parseHeader(header), IntegrityError, ['bad_archive'])
      same(found?.name, sum === 'wrong' ? undefined : `${front}${name}`)
    },
  ),
  property(
    'pax records that were written',
    fc.array(
      fc.tuple(
        fc.string({ minLength: 1, maxLength: 5 }).filter((key) => !key.includes('=')),
        fc.string({ unit: 'grapheme', maxLength: 120 }),
      ),
      { maxLength: 4 },
    ),
    (records) => {
      same([...parsePax(Buffer.concat(records.map(([key, value]) => paxRecord(key, value))))], [...new Map(records)])
    },
  ),
  property(
    'pax records',
    hostileBytes(
      records,
      ['9 path=a\n', '0 ', '10', '=', '\n', ' ', '9999999999 a=\n', '5 a=\n', '\xff'].map((text) => Buffer.from(text)),
    ),
    (data) => {
      const records = outcome(() => parsePax(data), IntegrityError, ['bad_archive'])
      if (records === undefined) return
      const last = Buffer.concat([...records].map(([key, value]) => paxRecord(key, value)))
      same([...parsePax(last)], [...records])
    },
  ),
  property(
    'long pax records',
    pumped(records.map(String), ['5 a=\n', '1', ' ', '=', '\n', '9 path=a\n', '0']),
    (text) => {
      outcome(() => parsePax(Buffer.from(text)), IntegrityError, ['bad_archive'])
    },
  ),
  property(
    'names',
    fc.tuple(
      hostileText(names, ['..', '/', '.', '\0', '\\', '//']),
      fc.constantFrom('allow' as const, 'refuse' as const),
    ),
    ([name, leadingSlash]) => {
      const path = outcome(() => safePath(name, 'it', { leadingSlash }), IntegrityError, ['unsafe_path'])
      if (path === undefined) return
      ok(resolve('/safe', path) === (path === '' ? '/safe' : `/safe/${path}`))
      same(safePath(path, 'it', { leadingSlash: 'refuse' }), path)
    },
  ),
  property('long names', pumped(names, ['/', '../', './', 'a/', '\0', 'é']), (name) => {
    const path = outcome(() => safePath(name, 'it', { leadingSlash: 'allow' }), IntegrityError, ['unsafe_path'])
    if (path !== undefined) parentsOf(path)
  }),
]
