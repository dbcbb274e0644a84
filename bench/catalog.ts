import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '../src/lib/logger.ts'
import { digestOf } from '../src/oci/digest.ts'
import { ociManifest } from '../src/oci/media.ts'
import { createSqliteState } from '../src/state/sqlite/client.ts'
import type { CatalogState, State } from '../src/state/state.ts'
import type { Row } from './row.ts'

/** With 100,000 tags an operation may cost at most this much of what it costs with ten. */
const bound = 1.2
const [few, many] = [10, 100_000]
const rounds = 60
const repository = 'policies/big'

interface Subject {
  state: State
  path: string
  count: number
  next: number
}

const operations: Record<string, { perRound: number; run: (subject: Subject) => Promise<unknown> }> = {
  'put a manifest': { perRound: 10, run: (subject) => put(subject.state.catalog, subject.next++) },
  'get by tag': { perRound: 100, run: ({ state, count }) => state.catalog.manifest(repository, tagOf(anyOf(count))) },
  'get by digest': {
    perRound: 100,
    run: ({ state, count }) => state.catalog.manifest(repository, digestOf(`manifest ${anyOf(count)}`)),
  },
  // Both pages have ten tags: it is the search that is compared.
  'a page of ten tags': {
    perRound: 100,
    run: ({ state, count }) =>
      state.catalog.tags(repository, { after: tagOf(anyOf(count - few)).slice(0, -1), limit: few }),
  },
}

/** For each operation the medians with few and with many tags. */
export async function* run(): AsyncGenerator<Row> {
  const subjects = [await open(few), await open(many)] as const
  try {
    for (const [name, { perRound, run }] of Object.entries(operations)) {
      const [small, big] = await compare(subjects, perRound, run)
      const ratio = big / small
      yield {
        what: `catalog with ${many} tags: ${name}`,
        ours: `${ratio.toFixed(2)} × with ${few} tags (${(big * 1000).toFixed(0)} µs)`,
        beside: '',
        goal: `≤ ${bound}`,
        holds: ratio <= bound,
      }
    }
  } finally {
    for (const { state, path } of subjects) {
      await state.close()
      rmSync(path, { recursive: true })
    }
  }
}

async function open(count: number): Promise<Subject> {
  const path = mkdtempSync(join(tmpdir(), 'longshore-bench-'))
  const state = await createSqliteState({ path, contentId: 'bench', logger: silentLogger })
  for (let at = 0; at < count; at += 1_000) {
    const length = Math.min(1_000, count - at)
    await Promise.all(Array.from({ length }, (_, offset) => put(state.catalog, at + offset)))
  }
  return { state, path, count, next: count }
}

function put(catalog: CatalogState, at: number) {
  const digest = digestOf(`manifest ${at}`)
  const row = { digest, mediaType: ociManifest, size: 500, artifactType: null, subject: null, annotations: null }
  return catalog.putManifest(repository, row, [], [tagOf(at)], at)
}

function tagOf(at: number): string {
  return `v1.0.${String(at).padStart(7, '0')}`
}

function anyOf(count: number): number {
  return Math.floor(Math.random() * Math.max(1, count))
}

/** In turns, so that a slow moment of the machine or its disk meets both. Medians in milliseconds. */
async function compare(
  subjects: readonly [Subject, Subject],
  perRound: number,
  run: (subject: Subject) => Promise<unknown>,
): Promise<[number, number]> {
  const times: [number[], number[]] = [[], []]
  for (let round = 0; round < rounds; round++) {
    for (const which of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
      const startedAt = performance.now()
      for (let at = 0; at < perRound; at++) await run(subjects[which])
      times[which].push((performance.now() - startedAt) / perRound)
    }
  }
  return [medianOf(times[0]), medianOf(times[1])]
}

function medianOf(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}
