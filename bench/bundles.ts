import { stopAllProcesses } from '../test/support/process.ts'
import { removeTempDirs } from '../test/support/temp.ts'
import { compareRates, type Measured } from './rates/compare.ts'
import { authorization, packPolicy, pushTo, startOurs } from './rates/ours.ts'
import { bring, startBare, startGo, startNginx, type Served, type Server } from './rates/servers.ts'
import type { Row } from './row.ts'

// A real longshore that guards and counts, on one core, beside servers on the same core that hand out the same bytes to whoever
// asks.

const rounds = 11
const sizes = { small: 10 * 1024, large: 5 * 1024 ** 2 }

interface Goal {
  what: string
  bundle: keyof typeof sizes
  conditional: boolean
  /** Our rate's share of theirs. */
  least: Partial<Record<string, number>>
}

const goals: Goal[] = [
  { what: '200, 10 KiB', bundle: 'small', conditional: false, least: { 'bare node:http': 0.9, 'Go net/http': 1.2 } },
  { what: '304', bundle: 'small', conditional: true, least: { 'bare node:http': 0.9, 'Go net/http': 0.95 } },
  { what: '200, 5 MiB', bundle: 'large', conditional: false, least: { nginx: 0.65 } },
]

export async function* run(): AsyncGenerator<Row> {
  await bring('nginx', 'wrk')
  try {
    const ours = await startOurs(Object.keys(sizes))
    const served: Served[] = []
    for (const [name, bytes] of Object.entries(sizes)) {
      await pushTo(ours.host, `policies/${name}`, await packPolicy(name, bytes))
      await ours.look(name)
      const answer = await ours.fetch(`/bundles/${name}`)
      const path = `/bundles/${name}`
      served.push({ path, etag: answer.headers.get('etag')!, bytes: new Uint8Array(await answer.arrayBuffer()) })
    }
    // As where Prometheus asks each minute: what is measured only from then on is measured.
    await ours.fetch('/metrics')
    const others = [await startNginx(served), await startBare(served), await startGo(served)]
    for (const goal of goals) yield await measure(goal, { name: 'ours', url: ours.url, pid: ours.process.pid }, others)
  } finally {
    await stopAllProcesses()
    removeTempDirs()
  }
}

async function measure({ what, bundle, conditional, least }: Goal, ours: Server, others: Server[]): Promise<Row> {
  const path = `/bundles/${bundle}`
  const target = async ({ name, url, pid }: Server) => {
    const etag = conditional ? await etagOf(url + path) : undefined
    return {
      ...{ name, url: url + path, pid },
      headers: [
        authorization,
        'User-Agent: Open Policy Agent/1.22.0 (linux, amd64)',
        ...(etag === undefined ? [] : [`If-None-Match: ${etag}`]),
      ],
    }
  }
  const result = await compareRates(await target(ours), await Promise.all(others.map(target)), rounds)
  const judged = result.others.filter(({ name }) => least[name] !== undefined)
  return {
    what: `bundle endpoint on one core: ${what}`,
    ours: `${judged.map(({ name, ratio }) => `${ratio.toFixed(2)} × ${name}`).join(', ')} (${text(result)})`,
    beside: result.others.map((other) => `${other.name} ${text(other)}`).join(', '),
    goal: judged.map(({ name }) => `≥ ${least[name]} × ${name}`).join(', '),
    holds: judged.every(({ name, ratio }) => ratio >= least[name]!),
  }
}

function text({ rate, cpuUs }: Measured): string {
  return `${rate.toFixed(0)}/s, ${cpuUs.toFixed(1)} µs`
}

/** Each server has its own. */
async function etagOf(url: string): Promise<string> {
  const [name, value] = authorization.split(': ') as [string, string]
  const response = await fetch(url, { method: 'HEAD', headers: { [name]: value } })
  return response.headers.get('etag')!
}
