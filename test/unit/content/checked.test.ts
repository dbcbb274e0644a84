import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { CheckedReads } from '../../../src/content/checked.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { FakeClock } from '../../support/clock.ts'
import { tempDir } from '../../support/temp.ts'

it('gives no piece of a damaged file that a right one replaces while it is checked', async () => {
  const folder = tempDir('checked')
  const [damaged, right] = [join(folder, 'damaged'), join(folder, 'right')]
  writeFileSync(damaged, 'right bytez')
  writeFileSync(right, 'right bytes')
  const digest = digestOf('right bytes')
  // Who reads has the damaged one open already; who checks finds the other.
  const paths = [damaged, right]
  const reads = new CheckedReads(() => paths.shift() ?? right, new FakeClock())
  await expect(Array.fromAsync(reads.read(digest, { first: 6, last: 10 }))).rejects.toMatchObject({ code: 'corrupt' })
  const again = await Array.fromAsync(reads.read(digest, { first: 6, last: 10 }))
  expect(Buffer.concat(again).toString()).toBe('bytes')
})
