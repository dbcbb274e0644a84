import { describe, expect, it } from 'vitest'
import { boundByDescriptors, connectionsWithin, readOpenFilesLimit } from '../../../src/app/descriptors.ts'
import { silentLogger } from '../../../src/lib/logger.ts'

describe('how many connections there may be', () => {
  it('follows from how many files may be open, as Linux says', () => {
    const text =
      'Max processes             95999                95999                processes \nMax open files            20000                30000                files     \n'
    expect(readOpenFilesLimit(text)).toBe(20_000)
    expect(readOpenFilesLimit('Max open files            unlimited            unlimited            files')).toBe(
      Infinity,
    )
    expect(readOpenFilesLimit('')).toBe(Infinity)
  })

  it('leaves some for files, however few there are', () => {
    expect([20_000, 4_096, 1_024, Infinity].map(connectionsWithin)).toEqual([18_000, 2_096, 512, Infinity])
  })

  it('is what is configured where that is less', async () => {
    expect(await boundByDescriptors(100, silentLogger)).toBe(100)
  })
})
