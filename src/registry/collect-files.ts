import type { StoredBlob } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'
import { pageLength, type Collection } from './collect.ts'

/** Removes the files of blobs that no repository has, in two steps: buried in the catalog, and after a while unlinked. */
export async function sweep(collection: Collection): Promise<void> {
  let page: StoredBlob[] = []
  const next = async () => {
    await collection.rest()
    await (collection.options.dryRun ? find(collection, page) : bury(collection, page))
    page = []
  }
  const isOld = createAge(collection)
  for await (const blob of collection.content.list()) {
    collection.collected.left.files++
    collection.collected.left.bytes += blob.size
    if (isOld(blob)) page.push(blob)
    if (page.length === pageLength) await next()
  }
  await next()
  if (!collection.options.dryRun) await unlink(collection)
}

/** By the clock of the file system: a file may be there for something that we do not know of yet. */
function createAge({ clock, limits }: Collection): (blob: StoredBlob) => boolean {
  const before = clock.now() - limits.graceMs
  return ({ changedAt }) => changedAt < before
}

async function find(collection: Collection, page: readonly StoredBlob[]): Promise<void> {
  const { collection: state, dropped } = collection
  const max = Math.max(1, ...page.map(({ digest }) => (dropped.get(digest) ?? 0) + 1))
  const owners = await state.owners(
    page.map(({ digest }) => digest),
    max,
  )
  const sizes = new Map(page.map(({ digest, size }) => [digest, size]))
  for (const { digest, owners: count } of owners) {
    if (count <= (dropped.get(digest) ?? 0)) noteFile(collection, { digest, size: sizes.get(digest)! })
  }
}

async function bury({ collection: state, clock }: Collection, page: readonly StoredBlob[]): Promise<void> {
  if (page.length === 0) return
  await state.bury(
    page.map(({ digest }) => digest),
    clock.now(),
  )
}

/** Also what an earlier collection did not come to. */
async function unlink(collection: Collection): Promise<void> {
  const { collection: state, clock, limits, options } = collection
  let after = ''
  let isSettled = limits.settleMs === 0
  for (;;) {
    const digests = await state.tombstones({ after, limit: pageLength })
    if (digests.length === 0) return
    if (!isSettled) await clock.sleep(limits.settleMs, options.signal)
    isSettled = true
    await collection.rest()
    for (const digest of digests) await unlinkOne(collection, digest)
    // Those that somebody stores meanwhile keep theirs until that is done.
    await state.unbury(digests)
    if (digests.length < pageLength) return
    after = digests.at(-1)!
  }
}

/** Nobody can store it between the question whether somebody has it and its end. */
async function unlinkOne(collection: Collection, digest: Digest): Promise<void> {
  const { content, collection: state, registry } = collection
  const stored = await content.stat(digest)
  const isGone = await content.remove(digest, () => state.isBuried(digest))
  if (isGone) registry.forget(digest)
  if (isGone && stored !== undefined) noteFile(collection, stored)
}

function noteFile(collection: Collection, { digest, size }: { digest: Digest; size: number }): void {
  const { collected } = collection
  collected.files++
  collected.bytes += size
  collected.left.files--
  collected.left.bytes -= size
  collection.note({ what: 'file', digest, size, repository: null, reason: 'no repository has it' })
}
