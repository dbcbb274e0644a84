import { IntegrityError } from '../lib/errors.ts'

export const blockBytes = 512

/** One header block, with only what matters here. https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html */
export interface TarHeader {
  name: string
  /** The type flag as one character; `\0` is the old form of `0`. */
  type: string
  /** Bytes of content that follow. */
  size: number
  mode: number
}

/** Whether the block is one of the zero blocks that end an archive. */
export function isZeroBlock(block: Buffer): boolean {
  return block.equals(zeroBlock())
}

export function zeroBlock(): Buffer {
  return Buffer.alloc(blockBytes)
}

/** Reads v7, ustar and GNU headers as Go's archive/tar does. Throws IntegrityError `bad_archive` on anything that is none. */
export function parseHeader(block: Buffer): TarHeader {
  checkSum(block)
  const name = textAt(block, 0, 100)
  return {
    name: name === '' || prefixOf(block) === '' ? name : `${prefixOf(block)}/${name}`,
    type: String.fromCharCode(block[156]!),
    size: numberAt(block, 124, 12, 'size'),
    mode: numberAt(block, 100, 8, 'mode') & 0o777,
  }
}

/**
 * A ustar header without times and owners. `name` must be at most 100 bytes: longer and non-ASCII names go into a pax
 * header before it, see `paxRecord`.
 */
export function encodeHeader(header: TarHeader): Buffer {
  const block = zeroBlock()
  block.write(header.name, 0, 100, 'latin1')
  block.write(octal(header.mode, 7), 100, 'latin1')
  block.write(octal(0, 7), 108, 'latin1')
  block.write(octal(0, 7), 116, 'latin1')
  block.write(octal(header.size, 11), 124, 'latin1')
  block.write(octal(0, 11), 136, 'latin1')
  block.write(' '.repeat(8), 148, 'latin1')
  block.write(header.type, 156, 'latin1')
  block.write('ustar\x0000', 257, 'latin1')
  block.write(`${sumOf(block).unsigned.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}

/** `LENGTH key=value\n`, where LENGTH counts itself. */
export function paxRecord(key: string, value: string): Buffer {
  const rest = Buffer.from(` ${key}=${value}\n`)
  let length = rest.length
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length
  return Buffer.concat([Buffer.from(String(length)), rest])
}

/** Throws IntegrityError `bad_archive` where the records are not exactly `LENGTH key=value\n`, one after the other. */
export function parsePax(data: Buffer): Map<string, string> {
  const records = new Map<string, string>()
  for (let at = 0; at < data.length;) {
    const space = data.indexOf(0x20, at)
    const digits = data.toString('latin1', at, space === -1 ? at : space)
    const length = /^[1-9]\d{0,9}$/.test(digits) ? Number(digits) : 0
    const record = data.subarray(space + 1, at + length)
    const equals = record.indexOf(0x3d)
    if (length === 0 || at + length > data.length || record.at(-1) !== 0x0a || equals < 1)
      throw bad('has a damaged extended header')
    records.set(text(record.subarray(0, equals)), text(record.subarray(equals + 1, -1)))
    at += length
  }
  return records
}

/** UTF-8 up to the first NUL; NULs behind a name would hide a part of it from somebody. */
export function textUpToNul(bytes: Buffer): string {
  const end = bytes.indexOf(0)
  return text(end === -1 ? bytes : bytes.subarray(0, end))
}

function text(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw bad(`has a name that is not UTF-8: ${JSON.stringify(bytes.toString('latin1').slice(0, 100))}`)
  }
}

function textAt(block: Buffer, at: number, length: number): string {
  return textUpToNul(block.subarray(at, at + length))
}

/** Where GNU keeps times, ustar keeps the front of a long name: only one of them may be read as a name. */
function prefixOf(block: Buffer): string {
  if (block.toString('latin1', 257, 263) !== 'ustar\0') return ''
  const isStar = block.toString('latin1', 508, 512) === 'tar\0'
  return textAt(block, 345, isStar ? 131 : 155)
}

function numberAt(block: Buffer, at: number, length: number, what: string): number {
  const field = block.subarray(at, at + length)
  if ((field[0]! & 0x80) !== 0) return binaryNumber(field, what)
  const digits = field.toString('latin1').replace(/^[ \0]+|[ \0]+$/g, '')
  if (!/^[0-7]*$/.test(digits)) throw bad(`has a header whose ${what} is no number`)
  return digits === '' ? 0 : parseInt(digits, 8)
}

/** GNU's form for large numbers: the rest of the field, big-endian; a first byte of 0xff would make it negative. */
function binaryNumber(field: Buffer, what: string): number {
  let value = BigInt(field[0]! & 0x7f)
  for (const byte of field.subarray(1)) value = value * 256n + BigInt(byte)
  if ((field[0]! & 0x40) !== 0 || value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw bad(`has a header whose ${what} is out of range`)
  }
  return Number(value)
}

function checkSum(block: Buffer): void {
  const stated = numberAt(block, 148, 8, 'checksum')
  const { unsigned, signed } = sumOf(block)
  if (stated !== unsigned && stated !== signed) throw bad('has a header whose checksum is wrong')
}

function sumOf(block: Buffer): { unsigned: number; signed: number } {
  let unsigned = 0
  let signed = 0
  for (let at = 0; at < blockBytes; at++) {
    const byte = at >= 148 && at < 156 ? 0x20 : block[at]!
    unsigned += byte
    signed += byte > 127 ? byte - 256 : byte
  }
  return { unsigned, signed }
}

function octal(value: number, digits: number): string {
  const written = value.toString(8)
  if (written.length <= digits) return `${written.padStart(digits, '0')}\0`
  throw new IntegrityError('bad_archive', `a file of ${value} bytes is too large for a tar archive`)
}

function bad(why: string): IntegrityError {
  return new IntegrityError('bad_archive', `the archive ${why}`)
}
