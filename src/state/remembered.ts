import type { Digest } from '../oci/digest.ts'
import { access, type Groups } from './operations/operation.ts'
import type { CatalogState, ManifestRow, State } from './state.ts'

/** Answers about manifests, and about blobs, that are held at most; beyond it they are gathered anew. */
export const maxRememberedAnswers = 10_000

/** What changes neither manifests nor tags nor who has which blob: all of these parts, and these operations. */
const harmlessGroups: readonly string[] = [
  'deployments',
  'decisions',
  'placements',
  'promotions',
  'outbox',
  'facts',
] satisfies (keyof Groups)[]
const harmless: readonly string[] = ['catalog.indexWritten', 'bundles.remember', 'bundles.saveLook']

type Groupings = Pick<State, keyof Groups>
type Parts = NonNullable<Awaited<ReturnType<CatalogState['parts']>>>
type Method = (...args: unknown[]) => Promise<unknown>

/**
 * The same state, which need not be asked again and again which manifest a tag stands for and whether a repository has a blob: nobody
 * else writes to it (its lock says so), and whatever is written through here forgets all of that before it begins. An answer is
 * remembered only if nothing was being written while it was on its way, so what is removed is gone when its removal is answered.
 */
export function rememberCatalog<Whole extends Groupings>(state: Whole): Whole {
  const manifests = createAnswers<ManifestRow>()
  const blobs = createAnswers<{ size: number; usedAt: number }>()
  const parts = createAnswers<Parts>()
  let writes = 0
  let writing = 0

  async function change(run: () => Promise<unknown>): Promise<unknown> {
    writes++
    writing++
    manifests.clear()
    blobs.clear()
    parts.clear()
    try {
      return await run()
    } finally {
      writing--
    }
  }

  async function look<Row>(
    answers: Answers<Row>,
    [repository, reference]: [string, string],
    ask: () => Promise<Row | undefined>,
  ) {
    const known = answers.get(repository, reference)
    if (known !== undefined) return known
    const before = writing === 0 ? writes : undefined
    const row = await ask()
    if (row !== undefined && before === writes) answers.set(repository, reference, row)
    return row
  }

  const { catalog } = state
  const looks: Pick<CatalogState, 'manifest' | 'blob' | 'useBlob' | 'parts'> = {
    parts: (repository, digest) => look(parts, [repository, digest], () => catalog.parts(repository, digest)),
    manifest: (repository, reference) =>
      look(manifests, [repository, reference], () => catalog.manifest(repository, reference)),
    blob: (repository, digest) => look(blobs, [repository, digest], () => catalog.blob(repository, digest)),
    async useBlob(repository: string, digest: Digest, usedAt: number) {
      const isThere = await catalog.useBlob(repository, digest, usedAt)
      const known = blobs.get(repository, digest)
      if (known !== undefined && known.usedAt < usedAt) blobs.set(repository, digest, { ...known, usedAt })
      return isThere
    },
  }
  const groups = Object.fromEntries(
    Object.entries(access).map(([group, methods]) => [group, changing(group as keyof Groups, methods)]),
  )

  function changing(group: keyof Groups, methods: Record<string, 'read' | 'write'>): Record<string, Method> {
    const part = state[group] as unknown as Record<string, Method>
    const kept = Object.entries(methods).map(([name, kind]): [string, Method] => {
      const method = part[name]!
      const changes = kind === 'write' && !harmlessGroups.includes(group) && !harmless.includes(`${group}.${name}`)
      return [name, changes ? (...args) => change(() => method(...args)) : method]
    })
    return Object.fromEntries(kept)
  }

  return { ...state, ...groups, catalog: { ...groups.catalog, ...looks } }
}

interface Answers<Row> {
  get(repository: string, reference: string): Row | undefined
  set(repository: string, reference: string, row: Row): void
  clear(): void
}

function createAnswers<Row>(): Answers<Row> {
  const byRepository = new Map<string, Map<string, Row>>()
  let count = 0
  const clear = () => {
    byRepository.clear()
    count = 0
  }
  return {
    get: (repository, reference) => byRepository.get(repository)?.get(reference),
    set(repository, reference, row) {
      if (count >= maxRememberedAnswers) clear()
      const rows = byRepository.get(repository) ?? new Map<string, Row>()
      if (!rows.has(reference)) count++
      byRepository.set(repository, rows.set(reference, row))
    },
    clear,
  }
}
