import { afterEach, beforeEach, expect, it } from 'vitest'
import { digestOf, type Digest } from '../../../src/oci/digest.ts'
import { maxSearched } from '../../../src/state/operations/needed.ts'
import type { State } from '../../../src/state/state.ts'
import type { Store } from '../../../src/state/sqlite/store.ts'
import { createRandom } from '../../support/random.ts'
import { manifestRow, openInProcess } from './open.ts'

let state: State & { store: Store }

beforeEach(async () => {
  state = await openInProcess()
})

afterEach(() => state.close())

const [old, before] = [1, 100]
const options = { bundle: null, without: [], before, limit: 200, dryRun: false }

async function dropAll(repository: string, limit = 200): Promise<Digest[]> {
  const gone: Digest[] = []
  for (let after: Digest | '' | null = ''; after !== null;) {
    const page: Awaited<ReturnType<State['collection']['dropManifests']>> = await state.collection.dropManifests(
      repository,
      { ...options, limit, after },
    )
    gone.push(...page.manifests.map(({ digest }) => digest))
    after = page.next
  }
  return gone.sort()
}

/** What the search upwards finds, found by going down from what is needed for itself, over everything. */
function findGone(graph: readonly Node[]): Digest[] {
  const whole = new Set(graph.filter(({ isRoot }) => isRoot).map(({ name }) => name))
  const subject = new Set<string>()
  for (let before = -1; before !== whole.size + subject.size;) {
    before = whole.size + subject.size
    for (const { name, names, subject: about } of graph) {
      if (whole.has(name)) names.forEach((named) => whole.add(named))
      if (about !== null && whole.has(about)) whole.add(name)
      if (subject.has(name)) names.forEach((named) => subject.add(named))
      if (about !== null && (whole.has(name) || subject.has(name))) subject.add(about)
    }
  }
  const isGone = ({ name }: Node) => !whole.has(name) && !subject.has(name)
  return graph
    .filter(isGone)
    .map(({ name }) => digestOf(name))
    .sort()
}

interface Node {
  name: string
  names: string[]
  subject: string | null
  isRoot: boolean
}

it('lets go of what going down from all that is needed does not find, in any graph', async () => {
  const random = createRandom(7)
  const below = (count: number) => Math.floor(random() * count)
  for (let round = 0; round < 60; round++) {
    const graph = Array.from({ length: 12 }, (_, at): Node => {
      const earlier = () => `${round} ${below(at)}`
      return {
        name: `${round} ${at}`,
        names: at > 0 && random() < 0.4 ? Array.from({ length: 1 + below(2) }, earlier) : [],
        subject: at > 0 && random() < 0.4 ? earlier() : null,
        isRoot: random() < 0.15,
      }
    })
    for (const { name, names, subject, isRoot } of graph) {
      const links = [...new Set(names)].map(
        (named) => ({ digest: digestOf(named), kind: 'manifest', required: false }) as const,
      )
      const row = manifestRow(name, { subject: subject === null ? null : digestOf(subject) })
      await state.catalog.putManifest(`r${round}`, row, links, isRoot ? [`t${name.replace(' ', '')}`] : [], old)
    }
    expect(await dropAll(`r${round}`, 5), JSON.stringify(graph)).toEqual(findGone(graph))
  }
})

/** Many that refer to one, without a second each. */
function putReferrers(subject: string, count: number): void {
  state.store.raw.exec(`
    with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < ${count})
    insert into manifests ("repository", "digest", "mediaType", "size", "subject", "putAt")
    select 'r', 'sha256:' || printf('%064x', n), 'm', 1, '${digestOf(subject)}', ${old} from numbers`)
}

it('one that too much hangs on to be looked at at once keeps no other one', async () => {
  for (const name of ['hub', 'a', 'b', 'c']) await state.catalog.putManifest('r', manifestRow(name), [], [], old)
  putReferrers('hub', maxSearched)
  state.store.raw.exec(
    `insert into tags select repository, 't' || digest, digest from manifests where subject is not null`,
  )
  expect(await dropAll('r')).toEqual(['a', 'b', 'c'].map((name) => digestOf(name)).sort())
})

it('and goes itself as soon as what hangs on it is gone', async () => {
  await state.catalog.putManifest('r', manifestRow('hub'), [], [], old)
  putReferrers('hub', maxSearched)
  expect(await dropAll('r')).toHaveLength(maxSearched + 1)
})
