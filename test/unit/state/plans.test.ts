import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import type { State } from '../../../src/state/state.ts'
import type { Store } from '../../../src/state/sqlite/store.ts'
import { blobReference, draft, manifestRow, openInProcess } from './open.ts'

/** What an operation costs must not grow with what else is there: each statement finds its rows by an index. */
let state: State & { store: Store }
let statements: Set<string>
/** By operation. Statements are prepared once, so each is listed with the first that uses it. */
const plans = new Map<string, string[]>()

afterAll(() => state.close())

const digest = digestOf('x')
const memo = { bundle: 'authz', fingerprint: 'f', recipe: 'r' }
const context = { tags: ['latest'], memo, places: ['prod'], keep: 1, at: 1 }
const page = { after: 'a', limit: 10 }
const drop = { bundle: 'authz', without: [1], before: 2, dryRun: false }

const operations: [string, () => Promise<unknown>][] = [
  ['blob', () => state.catalog.blob('r', digest)],
  ['useBlob', () => state.catalog.useBlob('r', digest, 1)],
  ['addBlob', () => state.catalog.addBlob('r', { digest, size: 1 }, 1)],
  ['mountBlob', () => state.catalog.mountBlob({ digest, from: 'r', to: 's' }, 1)],
  ['mountBlob from anywhere', () => state.catalog.mountBlob({ digest, readable: 'all', to: 's' }, 1)],
  ['usage', () => state.catalog.usage('r')],
  ['removeBlob', () => state.catalog.removeBlob('none', digest)],
  ['manifest by tag', () => state.catalog.manifest('r', 'latest')],
  ['manifest by digest', () => state.catalog.manifest('r', digest)],
  ['putManifest', () => state.catalog.putManifest('r', manifestRow('m'), [blobReference(digest)], ['a', 'b'], 1)],
  [
    'putManifest of an index',
    () => state.catalog.putManifest('r', manifestRow('i'), [{ digest, kind: 'manifest', required: true }], ['a'], 1),
  ],
  ['removeManifest', () => state.catalog.removeManifest('r', digestOf('m'), 1)],
  ['removeTag', () => state.catalog.removeTag('r', 'b', 1)],
  ['tags', () => state.catalog.tags('r', page)],
  ['tagged', () => state.catalog.tagged('r', page)],
  ['untagged', () => state.catalog.untagged('r', page)],
  ['hasRepository', () => state.catalog.hasRepository('r')],
  ['repositories', () => state.catalog.repositories(page)],
  ['referrers', () => state.catalog.referrers('r', digest)],
  ['referrers of a type', () => state.catalog.referrers('r', digest, 'sig')],
  ['digests', () => state.catalog.digests(page)],
  ['staleIndexes', () => state.catalog.staleIndexes(10)],
  ['indexWritten', () => state.catalog.indexWritten('r', 1)],
  ['release', () => state.bundles.release('authz', 1)],
  ['releaseByDigest', () => state.bundles.releaseByDigest('authz', digest)],
  ['releases', () => state.bundles.releases('authz', 3)],
  [
    'append',
    async () => {
      for (const name of ['a', 'b']) {
        await state.catalog.putManifest('bundles/authz', manifestRow(name), [], [], 1)
        await state.bundles.append(draft(name), context)
      }
    },
  ],
  ['memo', () => state.bundles.memo('authz', 'f', 'r')],
  ['look', () => state.bundles.look('authz')],
  ['deployments of a bundle', () => state.deployments.list('authz')],
  ['configure', () => state.deployments.configure('authz', ['x'], 1)],
  ['facts', () => state.facts.get('k')],
  [
    'outbox.queue',
    async () => {
      await state.decisions.pin({ bundle: 'authz', to: { tag: 'v' }, by: 'ann', at: 1, reason: '' })
      const events = await state.events.after(0, 9)
      await state.outbox.queue('events', events, { from: 0, to: 1 }, 1)
    },
  ],
  ['outbox.message', () => state.outbox.message({ publisher: 'events', seq: 1 })],
  ['outbox.failed', () => state.outbox.failed({ publisher: 'events', seq: 1 }, { error: 'no', nextAttemptAt: 2 })],
  ['outbox.park', () => state.outbox.park('events', { queuedUntil: 9, seq: null, error: 'no', maxParked: 0 })],
  ['outbox.resend', () => state.outbox.resend([{ publisher: 'events', seq: 1 }], 1)],
  ['outbox.sent', () => state.outbox.sent({ publisher: 'events', seq: 1 }, 'authz')],
  [
    'outbox.list',
    () => state.outbox.list({ publisher: 'events', bundle: 'a', state: 'parked' }, { after: null, limit: 9 }),
  ],
  ['outbox.counts', () => state.outbox.counts()],
  ['collection.repositories', () => state.collection.repositories(page)],
  ['collection.dropReleases', () => state.collection.dropReleases('authz', { keep: 1, dryRun: false })],
  ['collection.dropManifests', () => state.collection.dropManifests('bundles/authz', { ...page, ...drop, after: '' })],
  [
    'collection.dropManifests elsewhere',
    () => state.collection.dropManifests('r', { ...page, ...drop, after: '', bundle: null, dryRun: true }),
  ],
  ['collection.dropBlobs', () => state.collection.dropBlobs('r', { ...page, usedBefore: 0, dryRun: false })],
  ['collection.owners', () => state.collection.owners([digest], 3)],
  ['collection.bury', () => state.collection.bury([digestOf('unknown')], 1)],
  ['collection.tombstones', () => state.collection.tombstones(page)],
  ['collection.isBuried', () => state.collection.isBuried(digest)],
  ['collection.unbury', () => state.collection.unbury([digest])],
]

beforeAll(async () => {
  state = await openInProcess()
  await state.outbox.configure(['events'])
  const { raw } = state.store
  const prepare = raw.prepare.bind(raw)
  statements = new Set()
  raw.prepare = (text: string) => {
    statements.add(text)
    return prepare(text)
  }
  for (const [name, run] of operations) {
    statements.clear()
    await run()
    const texts = [...statements].filter((text) => /^\s*(select|insert|update|delete)/i.test(text))
    const rows = texts.flatMap((text) => prepare(`explain query plan ${text}`).all())
    plans.set(
      name,
      rows.map(({ detail }) => String(detail)),
    )
  }
})

describe('every statement uses an index', () => {
  it.each(operations.map(([name]) => name))('%s', (name) => {
    // Lists are read from end to end: they are what is asked for.
    const isScan = (detail: string) =>
      /^SCAN (?!CONSTANT|\d+-ROW|one$)/.test(detail) && !/USING .*INDEX|VIRTUAL TABLE/.test(detail)
    expect(plans.get(name)!.filter(isScan)).toEqual([])
    expect(plans.get(name)!.filter((detail) => detail.includes('TEMP B-TREE'))).toEqual([])
  })

  it.each([
    ['removeManifest', 'tags_digest (repository=? AND digest=?)'],
    ['untagged', 'tags_digest (repository=? AND digest=?)'],
    ['referrers', 'manifests_subject (repository=? AND subject=?)'],
    ['mountBlob from anywhere', 'blobs_digest (digest=?)'],
    ['digests', 'manifests_digest (digest>?)'],
    ['staleIndexes', 'repositories_stale'],
    ['releaseByDigest', 'releases_source_digest (bundle=? AND sourceDigest=?)'],
    ['collection.dropManifests elsewhere', 'releases_kept_manifestDigest (manifestDigest=?)'],
    ['collection.dropManifests', 'links_target (repository=? AND target=?)'],
    ['collection.dropManifests', 'releases_source_digest (bundle=? AND sourceDigest=?)'],
    ['append', 'releases_kept (bundle=? AND kept=? AND number<?)'],
  ])('%s uses the one that was made for it', (name, index) => {
    expect(plans.get(name)!.join('\n')).toContain(index)
  })

  it.each(['append', 'releaseByDigest', 'release'])('%s does not walk the history', (name) => {
    expect(plans.get(name)).not.toContain('SEARCH releases USING INDEX sqlite_autoindex_releases_1 (bundle=?)')
  })
})

it('prepares each statement once', async () => {
  await state.catalog.tags('r', page)
  statements.clear()
  await state.catalog.tags('elsewhere', { after: 'b', limit: 3 })
  expect(statements.size).toBe(0)
})
