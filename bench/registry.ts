import { stopAllProcesses } from '../test/support/process.ts'
import { removeTempDirs } from '../test/support/temp.ts'
import { compareRates } from './rates/compare.ts'
import { authorization, packPolicy, pushTo, startOurs } from './rates/ours.ts'
import { bring, startNginx, startOlaregPinned, type Server } from './rates/servers.ts'
import type { Row } from './row.ts'

// What clients pull from the registry, on one core: ours guards and counts, olareg beside it on the same core does neither.

const rounds = 7
const repository = 'policies/small'
const least = 1.5
/** olareg asks for it, others send it. */
const accept = 'Accept: application/vnd.oci.image.manifest.v1+json'

export async function* run(): AsyncGenerator<Row> {
  await bring('olareg', 'nginx', 'wrk')
  try {
    const [ours, olareg] = [await startOurs([]), await startOlaregPinned()]
    const packed = await packPolicy('small', 10 * 1024)
    for (const host of [ours.host, new URL(olareg.url).host]) await pushTo(host, repository, packed)
    const { digest } = packed.manifest
    // The archive is the largest of them.
    const blob = packed.blobs.map(({ descriptor }) => descriptor).sort((a, b) => b.size - a.size)[0]!
    const paths = {
      'a blob of 10 KiB': `/v2/${repository}/blobs/${blob.digest}`,
      'a manifest by tag': `/v2/${repository}/manifests/latest`,
      'a manifest by digest': `/v2/${repository}/manifests/${digest}`,
    }
    const served = await Promise.all(
      Object.values(paths).map(async (path) => {
        const answer = await ours.fetch(path)
        return { path, etag: '', bytes: new Uint8Array(await answer.arrayBuffer()) }
      }),
    )
    const nginx = await startNginx(served)
    for (const [what, path] of Object.entries(paths)) {
      yield await measure(what, path, { name: 'ours', url: ours.url, pid: ours.process.pid }, [olareg, nginx])
    }
  } finally {
    await stopAllProcesses()
    removeTempDirs()
  }
}

async function measure(what: string, path: string, ours: Server, others: Server[]): Promise<Row> {
  const target = ({ name, url, pid }: Server) => ({ name, url: url + path, pid, headers: [authorization, accept] })
  const result = await compareRates(target(ours), others.map(target), rounds)
  const ratio = result.others.find(({ name }) => name === 'olareg')!.ratio
  return {
    what: `/v2/ on one core: GET of ${what}`,
    ours: `${ratio.toFixed(2)} × olareg (${result.rate.toFixed(0)}/s, ${result.cpuUs.toFixed(1)} µs)`,
    beside: result.others
      .map(({ name, rate, cpuUs }) => `${name} ${rate.toFixed(0)}/s, ${cpuUs.toFixed(1)} µs`)
      .join(', '),
    goal: `≥ ${least} × olareg`,
    holds: ratio >= least,
  }
}
