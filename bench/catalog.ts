import { Client } from 'undici'
import { digestOf } from '../src/oci/digest.ts'
import { emptyJson, ociManifest } from '../src/oci/media.ts'
import { startLongshore } from '../test/support/longshore.ts'
import { stopAllProcesses } from '../test/support/process.ts'
import type { Row } from './row.ts'

// What it costs a client that a repository has many tags: a PUT, a GET and a page of the list, of a running server.

/** With 100,000 tags an operation may cost at most this much of what it costs with ten. */
const bound = 1.2
const [fewTags, manyTags] = [10, 100_000]
const rounds = 1_000
/** In one request; more would make its line too long. */
const tagsAtOnce = 50
const pageLength = 10

interface Repository {
  name: string
  count: number
  manifest: Buffer
  /** Number of the next new tag. */
  next: number
}

type Call = (method: 'GET' | 'PUT' | 'POST', path: string, body?: Buffer) => Promise<void>

const operations: Record<string, (call: Call, repository: Repository) => Promise<void>> = {
  'PUT of a manifest': (call, repository) => put(call, repository),
  'GET by tag, any of them': (call, { name, count }) =>
    call('GET', `/v2/${name}/manifests/${tagOf(Math.floor(Math.random() * count))}`),
  'a page of ten tags': (call, { name, count }) => {
    const last = tagOf(Math.floor(Math.random() * (count - pageLength)))
    return call('GET', `/v2/${name}/tags/list?n=${pageLength}&last=${last}`)
  },
}

export async function* run(): AsyncGenerator<Row> {
  const server = await startLongshore()
  const client = new Client(server.url)
  const call: Call = async (method, path, body) => {
    const headers = { 'content-type': ociManifest, accept: ociManifest }
    const answer = await client.request({ method, path, headers, ...(body !== undefined && { body }) })
    const text = await answer.body.text()
    if (answer.statusCode >= 400) throw new Error(`${method} ${path}: ${answer.statusCode} ${text}`)
  }
  try {
    const few = await fill(call, 'few', fewTags)
    const many = await fill(call, 'many', manyTags)
    const other = await fill(call, 'other', 1)
    for (const [name, operation] of Object.entries(operations)) {
      // Any write makes the process forget what the catalog answered: it is the catalog that is compared, not that memory.
      const [small, big] = await compare([few, many], async (repository) => {
        await put(call, other)
        const startedAt = performance.now()
        await operation(call, repository)
        return performance.now() - startedAt
      })
      const ratio = big / small
      yield {
        what: `repository with ${manyTags} tags: ${name}`,
        ours: `${ratio.toFixed(2)} × with ${fewTags} tags (${(big * 1000).toFixed(0)} µs)`,
        beside: '',
        goal: `≤ ${bound}`,
        holds: ratio <= bound,
      }
    }
  } finally {
    await client.close()
    await stopAllProcesses()
  }
}

async function fill(call: Call, name: string, count: number): Promise<Repository> {
  const config = { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf(emptyJson), size: emptyJson.length }
  const json = { schemaVersion: 2, mediaType: ociManifest, config, layers: [], annotations: { name } }
  const repository = { name, count, manifest: Buffer.from(JSON.stringify(json)), next: count }
  await call('POST', `/v2/${name}/blobs/uploads/?digest=${config.digest}`, Buffer.from(emptyJson))
  const path = `/v2/${name}/manifests/${digestOf(repository.manifest)}`
  for (let at = 0; at < count; at += tagsAtOnce) {
    const length = Math.min(tagsAtOnce, count - at)
    const tags = Array.from({ length }, (_, offset) => `tag=${tagOf(at + offset)}`)
    await call('PUT', `${path}?${tags.join('&')}`, repository.manifest)
  }
  return repository
}

function put(call: Call, repository: Repository): Promise<void> {
  return call('PUT', `/v2/${repository.name}/manifests/${tagOf(repository.next++)}`, repository.manifest)
}

function tagOf(at: number): string {
  return `v1.0.${String(at).padStart(7, '0')}`
}

/** In turns, so that a slow moment of the machine or its disk meets both. Medians in milliseconds. */
async function compare(
  [small, big]: readonly [Repository, Repository],
  measure: (repository: Repository) => Promise<number>,
): Promise<[number, number]> {
  const times: [number[], number[]] = [[], []]
  for (let round = 0; round < rounds; round++) {
    if (round % 2 === 0) times[0].push(await measure(small))
    times[1].push(await measure(big))
    if (round % 2 === 1) times[0].push(await measure(small))
  }
  return [medianOf(times[0]), medianOf(times[1])]
}

function medianOf(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}
