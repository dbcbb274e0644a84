import { randomUUID } from 'node:crypto'
import { open, readlink, rename, rm, rmdir, symlink, writeFile, type FileHandle } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { makeFolder, syncFolder } from '../content/files.ts'
import { codeOf, onDisk } from '../content/errors.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { annotationRefName, ociIndex } from '../oci/media.ts'
import type { CatalogState, ManifestRow } from '../state/state.ts'
import { layoutFolder } from './layout.ts'

export interface Indexes {
  /** Something changed: soon, and once for many, what is stale is written. */
  refresh(): void
  /** Writes what is stale now, and no more afterwards. */
  close(): Promise<void>
}

interface Parts {
  /** The content folder, with `blobs`. */
  folder: string
  /** On the same file system. */
  scratch: string
  catalog: CatalogState
  clock: Clock
  logger: Logger
  /** Before a file is put or removed: throws where that is no longer ours to do. */
  mayWrite?: () => Promise<void>
  /** At least so long between two rounds … */
  delayMs: number
}

/** … and this many times as long as the last round took: writing takes at most a tenth of the time, however big an index is. */
const restFactor = 10
/** After a failure, a full disk for one. */
const retryMs = 30_000
const staleAtATime = 100
/** Entries that are read and turned into JSON at once: a few milliseconds. */
const pageLength = 500

type Stale = Awaited<ReturnType<CatalogState['staleIndexes']>>[number]

/**
 * Writes each repository as an OCI image layout, from the catalog, so that other tools can read it and a lost database can
 * be rebuilt. The catalog knows which are stale, so nothing is forgotten when the process ends.
 */
export function createIndexes(parts: Parts): Indexes {
  const { catalog, clock, logger, delayMs } = parts
  let restMs = delayMs
  let stopTimer: (() => void) | undefined
  let round: Promise<void> = Promise.resolve()
  let isClosed = false

  function refresh(): void {
    if (isClosed || stopTimer !== undefined) return
    stopTimer = clock.after(restMs, () => {
      round = round.then(timedRound)
    })
  }

  async function timedRound(): Promise<void> {
    const startedAt = clock.monotonic()
    const { written, failed } = await writeStale()
    const tookMs = clock.monotonic() - startedAt
    restMs = Math.max(delayMs, restFactor * tookMs, failed > 0 ? retryMs : 0)
    stopTimer = undefined
    // Until a round finds nothing: what changed while it wrote is found by the next.
    if (written + failed > 0) refresh()
  }

  async function writeStale(): Promise<{ written: number; failed: number }> {
    const outcome = { written: 0, failed: 0 }
    try {
      for (const one of await catalog.staleIndexes(staleAtATime)) outcome[await write(one)]++
    } catch (error) {
      outcome.failed++
      logger.warn({ err: error }, 'the catalog did not say which indexes are to be written')
    }
    return outcome
  }

  async function write({ repository, version, empty }: Stale): Promise<'written' | 'failed'> {
    try {
      await (empty ? removeLayout(parts, repository) : writeLayout(parts, repository))
      await catalog.indexWritten(repository, version)
      return 'written'
    } catch (error) {
      logger.warn({ err: error, repository }, 'writing the index of a repository failed; it is tried again')
      return 'failed'
    }
  }

  return {
    refresh,
    async close() {
      isClosed = true
      stopTimer?.()
      await round
      while ((await writeStale()).written > 0);
    },
  }
}

async function writeLayout({ folder, scratch, catalog, mayWrite }: Parts, repository: string): Promise<void> {
  const layout = layoutFolder(folder, repository)
  const index = join(layout, 'index.json')
  const aside = join(scratch, `index-${randomUUID()}`)
  await onDisk({ what: `writing the index of ${repository}`, path: index }, async () => {
    await makeFolder(layout)
    await prepareLayout(folder, layout)
    const file = await open(aside, 'wx')
    try {
      await writeIndex(file, catalog, repository)
      await file.sync()
      await mayWrite?.()
      await rename(aside, index)
    } finally {
      await file.close()
      await rm(aside, { force: true })
    }
    await syncFolder(layout)
  })
}

async function prepareLayout(folder: string, layout: string): Promise<void> {
  const target = relative(layout, join(folder, 'blobs'))
  const link = join(layout, 'blobs')
  if ((await readlink(link).catch(() => undefined)) !== target) {
    await rm(link, { force: true })
    await symlink(target, link)
  }
  await writeFile(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}', { flag: 'wx', flush: true }).catch(
    (error: unknown) => {
      if (codeOf(error) !== 'EEXIST') throw error
    },
  )
}

/** Page by page: 100,000 entries neither hold the loop nor lie in memory. */
async function writeIndex(file: FileHandle, catalog: CatalogState, repository: string): Promise<void> {
  await file.appendFile(`{"schemaVersion":2,"mediaType":"${ociIndex}","manifests":[`)
  let separator = ''
  for await (const entries of pages(catalog, repository)) {
    if (entries.length === 0) continue
    await file.appendFile(separator + entries.map((entry) => JSON.stringify(entry)).join(',\n'))
    separator = ',\n'
  }
  await file.appendFile(']}\n')
}

async function* pages(catalog: CatalogState, repository: string): AsyncIterable<object[]> {
  let after = ''
  for (;;) {
    const page = await catalog.tagged(repository, { after, limit: pageLength })
    yield page.map(({ tag, manifest }) => entryOf(manifest, tag))
    if (page.length < pageLength) break
    after = page.at(-1)!.tag
  }
  after = ''
  for (;;) {
    const page = await catalog.untagged(repository, { after, limit: pageLength })
    yield page.map((manifest) => entryOf(manifest))
    if (page.length < pageLength) return
    after = page.at(-1)!.digest
  }
}

function entryOf({ mediaType, digest, size, artifactType }: ManifestRow, tag?: string): object {
  return {
    mediaType,
    digest,
    size,
    ...(artifactType !== null && { artifactType }),
    ...(tag !== undefined && { annotations: { [annotationRefName]: tag } }),
  }
}

/** Takes away the layout, and folders above it that hold no other. */
async function removeLayout({ folder, mayWrite }: Parts, repository: string): Promise<void> {
  const layout = layoutFolder(folder, repository)
  await mayWrite?.()
  await onDisk({ what: `removing the index of ${repository}`, path: layout }, async () => {
    for (const name of ['index.json', 'oci-layout', 'blobs']) await rm(join(layout, name), { force: true })
    const top = join(folder, 'repositories')
    let at = layout
    while (at !== top && (await removeEmpty(at))) at = dirname(at)
    // Else it might be back after a loss of power, and a rebuilt catalog would take it for what there is.
    await syncFolder(at).catch((error: unknown) => {
      // Nothing ever had an index.
      if (codeOf(error) !== 'ENOENT') throw error
    })
  })
}

/** False where something else is in it. */
async function removeEmpty(folder: string): Promise<boolean> {
  try {
    await rmdir(folder)
  } catch (error) {
    if (codeOf(error) === 'ENOTEMPTY' || codeOf(error) === 'EEXIST') return false
    if (codeOf(error) !== 'ENOENT') throw error
  }
  return true
}
