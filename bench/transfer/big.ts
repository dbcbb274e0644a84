import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { component } from '../../test/support/components.ts'
import { programPath } from '../../test/support/longshore.ts'
import { startDistributionV3 } from '../../test/support/registries.ts'
import { tempDir } from '../../test/support/temp.ts'
import type { Row } from '../row.ts'
import { measureFloor, mebibyte, median, seconds, time, writeRandom } from './measure.ts'

export const bigBytes = 1024 * mebibyte
const rounds = 7
const bound = 1.3
const mostPeakBytes = 150 * mebibyte

/** A file of 1 GiB, pushed there with oras as `big:v1`. */
export async function pushBig(host: string, folder: string): Promise<void> {
  await time(component('oras'), orasPush(host), folder)
}

export function orasPush(host: string): string[] {
  return ['push', '--plain-http', `${host}/big:v1`, 'big.bin:application/octet-stream']
}

/** From a registry into an OCI layout on the disk. */
export async function* measureCopy(): AsyncGenerator<Row> {
  const folder = tempDir('big')
  writeRandom(join(folder, 'big.bin'), bigBytes)
  const registry = await startDistributionV3()
  await pushBig(registry.host, folder)
  // What was prepared is not written while others are measured.
  await time('sync', [])
  const [ours, theirs, hashes, writes, peaks]: number[][] = [[], [], [], [], []]
  const [from, layout] = [`${registry.host}/big:v1`, join(folder, 'layout')]
  // The memory of a file that was removed is used again, which costs a fraction of memory that was never touched: for each alike.
  const timeInto = async (command: string, args: string[]) => {
    const ran = await time(command, args, folder)
    rmSync(layout, { recursive: true })
    return ran
  }
  for (let round = 0; round < rounds; round++) {
    const { hash, write } = measureFloor(bigBytes)
    hashes!.push(hash)
    writes!.push(write)
    const one = await timeInto(process.execPath, [programPath, 'copy', from, `oci-layout:${layout}:v1`])
    ours!.push(one.seconds)
    peaks!.push(one.peakBytes)
    const two = await timeInto(component('oras'), ['cp', '--from-plain-http', from, '--to-oci-layout', `${layout}:v1`])
    theirs!.push(two.seconds)
  }
  await registry.stop()
  const [own, oras, hash, write] = [median(ours!), median(theirs!), median(hashes!), median(writes!)]
  const floor = Math.max(hash, write)
  yield {
    what: 'copy of 1 GiB from distribution into an OCI layout, verified and synced',
    ours: seconds(own),
    beside: `oras cp ${seconds(oras)} (it does not sync)`,
    goal: '< oras',
    holds: own < oras,
  }
  yield {
    what: 'the same, beside the slower of hashing 1 GiB and a synced write of 1 GiB, each alone',
    ours: `${(own / floor).toFixed(2)} ×`,
    beside: `sha256 ${seconds(hash)}, write ${seconds(write)}`,
    goal: `≤ ${bound}`,
    holds: own / floor <= bound,
  }
  const peak = Math.max(...peaks!)
  yield {
    what: 'the same, peak memory',
    ours: `${Math.round(peak / mebibyte)} MiB`,
    beside: '',
    goal: `≤ ${mostPeakBytes / mebibyte} MiB`,
    holds: peak <= mostPeakBytes,
  }
}
