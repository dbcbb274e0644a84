import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { component } from '../../test/support/components.ts'
import { startLongshore } from '../../test/support/longshore.ts'
import { startOlareg } from '../../test/support/registries.ts'
import { tempDir } from '../../test/support/temp.ts'
import type { Row } from '../row.ts'
import { bigBytes, orasPush } from './big.ts'
import { median, mebibyte, probe, seconds, time, writeRandom } from './measure.ts'
import { pushImage, pushSmall } from './push.ts'

const rounds = 15
const goalP99Ms = 20

/** 1 GiB into the built-in registry and out of it, by the same client as into and out of olareg; and who else asks meanwhile. */
export async function* measureServer(): AsyncGenerator<Row> {
  const config = { bundles: { authz: { store: { type: 'local', repository: 'policies/authz' } } } }
  const [server, olareg] = [await startLongshore({ config }), await startOlareg()]
  await pushSmall(`${server.host}/policies/authz:latest`)
  await server.look('authz')
  const probing = `${server.url}/bundles/authz`
  const idle = probe(probing)
  await new Promise((resolve) => setTimeout(resolve, 2_000))
  const { p99: idleP99 } = await idle.stop()
  const times = { in: [[], []] as [number[], number[]], out: [[], []] as [number[], number[]] }
  const p99s: number[] = []
  const hosts = [server.host, olareg.host].map((host, index) => ({ host, index }))
  for (let round = 0; round < rounds; round++) {
    const folder = tempDir('big')
    // Other bytes each time: what is there already is not sent.
    writeRandom(join(folder, 'big.bin'), bigBytes)
    for (const { host, index } of round % 2 === 0 ? hosts : hosts.toReversed()) {
      const out = tempDir('pulled')
      await makeAlike(out)
      // Both are asked meanwhile, so that both have the same to do.
      const asking = probe(index === 0 ? probing : `${olareg.url}/v2/`)
      times.in[index]!.push((await time(component('oras'), orasPush(host), folder)).seconds)
      const pull = ['pull', '--plain-http', `${host}/big:v1`, '-o', out]
      times.out[index]!.push((await time(component('oras'), pull)).seconds)
      rmSync(out, { recursive: true })
      const { p99 } = await asking.stop()
      if (index === 0) p99s.push(p99)
    }
    rmSync(folder, { recursive: true })
  }
  for (const [what, both] of [
    ['push of 1 GiB with oras', times.in],
    ['pull of 1 GiB with oras', times.out],
  ] as const) {
    const [ours, theirs] = [median(both[0]), median(both[1])]
    yield {
      what,
      ours: seconds(ours),
      beside: `olareg ${seconds(theirs)}`,
      goal: '≤ olareg',
      holds: ours <= theirs,
    }
  }
  const more = median(p99s) - idleP99
  yield {
    what: 'requests for a bundle while 1 GiB is pushed and pulled, p99 over idle',
    ours: `+${more.toFixed(1)} ms`,
    beside: `idle ${idleP99.toFixed(1)} ms`,
    goal: `≤ ${goalP99Ms} ms`,
    holds: more <= goalP99Ms,
  }
  await Promise.all([server.stop(), olareg.stop()])
}

/** Nothing of what was before is still to be written, and the memory for a big file was touched: both change how long a push takes. */
async function makeAlike(folder: string): Promise<void> {
  const path = join(folder, 'touched')
  writeRandom(path, bigBytes)
  rmSync(path)
  await time('sync', [])
}

const repackBytes = 200 * mebibyte
const goalRepackMs = 50

/** An image that has to be repacked, as a Dockerfile makes it: two layers, one of them big. */
export async function* measureRepack(): AsyncGenerator<Row> {
  const server = await startLongshore({
    config: {
      bundles: {
        authz: { store: { type: 'local', repository: 'policies/authz' } },
        heavy: { store: { type: 'local', repository: 'policies/heavy' } },
      },
    },
  })
  await pushSmall(`${server.host}/policies/authz:latest`)
  await server.look('authz')
  const url = `${server.url}/bundles/authz`
  const idle = probe(url)
  await new Promise((resolve) => setTimeout(resolve, 2_000))
  const { p99: idleP99 } = await idle.stop()
  const asking = probe(url)
  await pushImage(`${server.host}/policies/heavy`, repackBytes)
  await server.look('heavy')
  const { p99, requests } = await asking.stop()
  const [release] = await server.releases('heavy')
  if (release === undefined) throw new Error('the image was pushed, but nothing was released')
  const more = p99 - idleP99
  yield {
    what: `requests for a bundle while an image of 200 MiB is pushed and repacked, p99 over idle`,
    ours: `+${more.toFixed(1)} ms, of ${requests} requests`,
    beside: `idle ${idleP99.toFixed(1)} ms`,
    goal: `≤ ${goalRepackMs} ms`,
    holds: more <= goalRepackMs,
  }
  await server.stop()
}
