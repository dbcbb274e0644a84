import { createHash } from 'node:crypto'
import { createReadStream, existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Event } from '../../src/model/event.ts'
import type { BundleStatus } from '../../src/model/status.ts'
import type { Release } from '../../src/model/release.ts'
import { digestOf, type Digest } from '../../src/oci/digest.ts'
import { digestAt } from './digest-at.ts'
import { policyArtifact, UnexpectedAnswer, type Answer, type Client } from './kill-client.ts'
import { checkTold, untold } from './kill-hook.ts'
import { pick } from './kill-ledger.ts'
import type { Row } from './kill-state.ts'
import { hearPlaceOut, placeFolder, placeRepositories, type Followed, type World } from './kill-world.ts'
import { longshore } from './longshore.ts'
import { waitFor } from './wait.ts'

/** Files that a process was still writing when it was killed. */
export function leftovers({ folder }: World): string[] {
  return ['ingest', 'scratch'].flatMap((name) =>
    readdirSync(join(folder, 'data', name)).map((file) => join(folder, 'data', name, file)),
  )
}

const olderToLookAt = 25

/** All that must hold after a start. Throws what does not. */
export async function checkAll(world: World, left: readonly string[], seen: Set<string>): Promise<void> {
  const still = left.filter((path) => existsSync(path))
  if (still.length > 0) throw new Error(`left by the process that was killed: ${still.join(', ')}`)
  const client = world.client()
  await checkLedger(world, client, 'touched')
  await checkTags(world, client)
  for (const bundle of world.bundles) await checkBundle(bundle, client)
  for (const bundle of world.bundles.filter(({ isLocal }) => isLocal)) await checkPlacedFile(world, bundle)
  checkTold(world.hook)
  await checkFolder(world, seen)
  await checkVerified(client)
}

/** What was acknowledged is there, byte for byte, and what was cut short is as before or done. */
export async function checkLedger(world: World, client: Client, which: 'touched' | 'all'): Promise<void> {
  const { ledger, random } = world
  const keys = ledger.keys(which)
  const all = ledger.keys('all')
  const older = which === 'all' ? [] : Array.from({ length: olderToLookAt }, () => pick(all, random))
  for (const key of new Set([...keys, ...older])) {
    if (key === undefined) continue
    const [kind, repository = '', name = ''] = key.split(' ')
    const part = kind === 'blob' ? 'blobs' : 'manifests'
    const answer = await get(client, `/v2/${repository}/${part}/${name}`)
    if (answer === undefined) ledger.found(key, null)
    else {
      const digest = digestOf(answer.bytes)
      if (digest !== answer.header('docker-content-digest')) throw new Error(`${key} came as ${digest}`)
      if (kind !== 'tag' && digest !== name) throw new Error(`${key} came as ${digest}`)
      ledger.found(key, kind === 'tag' ? digest : 'there')
    }
  }
}

async function get(client: Client, path: string, missing = 404): Promise<Answer | undefined> {
  try {
    return await client.send(`GET of ${path}`, { method: 'GET', path })
  } catch (error) {
    if (error instanceof UnexpectedAnswer && error.status === missing) return undefined
    throw error
  }
}

/** Whatever is listed can be had, and is what some client pushed. */
async function checkTags({ ledger }: World, client: Client): Promise<void> {
  const known = new Set(ledger.keys('all'))
  const listed = await client.send('the catalog', { method: 'GET', path: '/v2/_catalog?n=1000' })
  const { repositories } = JSON.parse(listed.bytes.toString()) as { repositories: string[] }
  for (const repository of repositories) {
    const answer = await client.send('tags', { method: 'GET', path: `/v2/${repository}/tags/list?n=1000` })
    const { tags } = JSON.parse(answer.bytes.toString()) as { tags: string[] }
    for (const tag of tags) {
      const isOurs = repository.startsWith('bundles/')
      if (!isOurs && !known.has(`tag ${repository} ${tag}`)) throw new Error(`nobody pushed ${repository}:${tag}`)
      // The others are looked at one by one.
      if (isOurs && (await get(client, `/v2/${repository}/manifests/${tag}`)) === undefined) {
        throw new Error(`${repository}:${tag} is listed, and not there`)
      }
    }
  }
}

async function checkBundle(bundle: Followed, client: Client): Promise<void> {
  const { name, versions, floor } = bundle
  // Asked in this order: a release is in the history a moment before it is served.
  const served = await get(client, `/bundles/${name}`, floor < 0 ? 503 : 404)
  const path = `/api/v1/bundles/${name}/releases?limit=1000`
  const answer = await client.send(`releases of ${name}`, { method: 'GET', path })
  const { releases } = JSON.parse(answer.bytes.toString()) as { releases: Release[] }
  checkHistory(bundle, releases)
  if (served === undefined) return
  const digest = digestOf(served.bytes)
  if (served.header('etag') !== `"${digest}"`)
    throw new Error(`${name} came as ${digest}, not ${served.header('etag')}`)
  const release = releases.find(({ bundleDigest }) => bundleDigest === digest)
  const index = versions.findLastIndex(({ revision }) => revision === release?.revision)
  if (release === undefined) throw new Error(`${name} is served as ${digest}, which is no release`)
  if (index < floor) throw new Error(`${name} is served as ${release.revision}, but version ${floor} was looked at`)
  bundle.floor = index
}

/** Numbered from 1 without a gap, each one of what was pushed, and what was history stays as it was. */
function checkHistory(bundle: Followed, releases: readonly Release[]): void {
  const { name, versions } = bundle
  const history = releases
    .toReversed()
    .map(({ number, revision, bundleDigest }) => ({ number, revision, bundleDigest }))
  for (const [at, { number, revision, bundleDigest }] of history.entries()) {
    if (number !== at + 1) throw new Error(`${name}: release ${number} stands where ${at + 1} is due`)
    const version = versions.find((one) => one.revision === revision)
    if (version === undefined) throw new Error(`${name}: release ${number} is of ${revision}, which nobody pushed`)
    const layer = version.artifact.blobs.at(-1)!.digest
    if (name !== 'repacked' && bundleDigest !== layer) throw new Error(`${name}: release ${number} is not ${layer}`)
    const before = bundle.history[at]
    if (before !== undefined && JSON.stringify(before) !== JSON.stringify(history[at])) {
      throw new Error(`${name}: release ${number} was ${JSON.stringify(before)}, is ${JSON.stringify(history[at])}`)
    }
    if (number > 1 && history[at - 1]!.bundleDigest === bundleDigest) {
      throw new Error(`${name}: releases ${number - 1} and ${number} are the same`)
    }
  }
  if (history.length < bundle.history.length) throw new Error(`${name}: releases are gone`)
  bundle.history = history
}

/** Each file that the catalog names is there, and each manifest with all that it needs, in its repository. Read without longshore. */
async function checkFolder(world: World, seen: Set<string>): Promise<void> {
  const { manifests, blobs } = await world.state.rows()
  const held = new Set([...manifests, ...blobs].map(({ repository, digest }) => `${repository} ${digest}`))
  const isThereNow = async (row: Row) => {
    const now = await world.state.rows()
    return [...now.manifests, ...now.blobs].some((other) => keyOf(other) === keyOf(row))
  }
  for (const row of [...manifests, ...blobs]) {
    const path = blobPath(world, row.digest)
    if (!existsSync(path) || statSync(path).size !== row.size) {
      if (await isThereNow(row)) throw new Error(`${keyOf(row)} is in the catalog, its file is not right`)
    } else if (!seen.has(row.digest)) {
      const actual = await hashOf(path)
      if (actual !== row.digest) throw new Error(`the file of ${row.digest} hashes to ${actual}`)
      seen.add(row.digest)
    }
  }
  for (const { repository, digest } of manifests) {
    const manifest = JSON.parse(readFileSync(blobPath(world, digest), 'utf8')) as Manifest
    const children = [
      ...(manifest.manifests ?? []),
      ...(manifest.config ? [manifest.config] : []),
      ...(manifest.layers ?? []),
    ]
    const missing = children.filter((child) => !held.has(`${repository} ${child.digest}`))
    if (missing.length > 0)
      throw new Error(`${repository}@${digest} lacks ${missing.map((one) => one.digest).join(', ')}`)
  }
}

interface Manifest {
  config?: { digest: Digest }
  layers?: { digest: Digest }[]
  manifests?: { digest: Digest }[]
}

/** What longshore itself says of that, beside all else that it does. */
async function checkVerified(client: Client): Promise<void> {
  const path = '/api/v1/verify-content'
  const answer = await client.send('verify-content', {
    method: 'POST',
    path,
    headers: { 'content-type': 'application/json' },
    body: Buffer.from('{}'),
  })
  const { found } = JSON.parse(answer.bytes.toString()) as { found: number }
  if (found !== 0) throw new Error(`verify-content: ${answer.bytes.toString()}`)
}

const keyOf = ({ repository, digest }: Pick<Row, 'repository' | 'digest'>) => `${repository} ${digest}`
const blobPath = ({ folder }: World, digest: Digest) => join(folder, 'data/blobs/sha256', digest.slice(7))

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) hash.update(chunk)
  return `sha256:${hash.digest('hex')}`
}

/** After it was stopped as one should: longshore's own check finds nothing then either, and every layout shows what the catalog holds. */
export async function checkStopped(world: World): Promise<void> {
  await world.server.stop()
  const verified = await longshore(['verify-content', '-c', world.server.configFile])
  if (verified.code !== 0) throw new Error(`verify-content: ${verified.stdout}${verified.stderr}`)
  const { manifests } = await world.state.rows()
  const wanted = new Set(manifests.map(keyOf))
  const found = new Set(layouts(join(world.folder, 'data/repositories'), ''))
  for (const key of wanted.symmetricDifference(found)) {
    throw new Error(
      `${key} is ${wanted.has(key) ? 'in the catalog, not in its layout' : 'in its layout, not in the catalog'}`,
    )
  }
}

function layouts(folder: string, repository: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return layouts(path, repository === '' ? entry.name : `${repository}/${entry.name}`)
    if (entry.name !== 'index.json') return []
    const { manifests } = JSON.parse(readFileSync(path, 'utf8')) as { manifests: { digest: Digest }[] }
    return manifests.map(({ digest }) => keyOf({ repository, digest }))
  })
}

/** What was begun is brought to its end: what is pushed is served and deployed, and nothing was put to a place that it had. */
export async function checkEnd(world: World): Promise<void> {
  const client = world.client()
  await checkLedger(world, client, 'all')
  for (const bundle of world.bundles) {
    const version = bundle.versions.at(-1)
    if (version === undefined) continue
    await client.send(`look at ${bundle.name}`, { method: 'POST', path: `/api/v1/bundles/${bundle.name}/look` })
    const status = () => statusOf(client, bundle.name)
    const { current } = await status()
    const expected = bundle.isLocal
      ? world.ledger.value(`tag ${bundle.repository} stable`)
      : await digestAt(world.upstream, bundle.repository, 'stable')
    if (current?.sourceDigest !== (expected ?? undefined))
      throw new Error(`${bundle.name} is ${current?.sourceDigest}, not ${expected}`)
    // Its only push was killed before it was there.
    if (current === null) continue
    await waitFor(`${bundle.name} to be everywhere`, async () => {
      return (await status()).deployments.every(({ state }) => state === 'done')
    })
    await checkPlaces(world, current, await status())
    await checkMessages(world, client, bundle.name)
  }
  await checkPuts(world)
}

async function checkPlaces(world: World, current: Release, { name, deployments }: BundleStatus): Promise<void> {
  for (const { place } of deployments) {
    if (place === 'hook') {
      const last = world.hook.told.at(-1)
      if (last?.release !== current.number)
        throw new Error(`the hook heard last of release ${last?.release}, not ${current.number}`)
    } else if (place === 'folder') {
      const found = await hashOf(placedFile(world, name))
      if (found !== current.bundleDigest) throw new Error(`the folder has ${found}, not ${current.bundleDigest}`)
    } else {
      const found = await digestAt(world.place, `prod/${place}`, 'latest')
      if (found !== current.manifestDigest) throw new Error(`prod/${place} has ${found}, not ${current.manifestDigest}`)
    }
  }
}

async function checkMessages({ hook }: World, client: Client, name: string): Promise<void> {
  const path = `/api/v1/bundles/${name}/events?limit=1000`
  await waitFor(`every event of ${name} to be told`, async () => {
    const answer = await client.send(`events of ${name}`, { method: 'GET', path })
    return untold(hook, (JSON.parse(answer.bytes.toString()) as { events: Event[] }).events).length === 0
  })
}

const placedFile = ({ folder }: World, bundle: string) => join(folder, placeFolder, `${bundle}.tar.gz`)

/** Whatever is under the bundle's name in the folder is one of its releases, whole. */
async function checkPlacedFile(world: World, { name, versions }: Followed): Promise<void> {
  const path = placedFile(world, name)
  if (!existsSync(path)) return
  const found = await hashOf(path)
  if (!versions.some(({ artifact }) => artifact.blobs.at(-1)!.digest === found)) {
    throw new Error(`the folder has ${found} as ${name}, which nobody pushed`)
  }
}

async function statusOf(client: Client, name: string): Promise<BundleStatus> {
  const answer = await client.send(`status of ${name}`, { method: 'GET', path: `/api/v1/bundles/${name}` })
  return JSON.parse(answer.bytes.toString()) as BundleStatus
}

async function checkPuts(world: World): Promise<void> {
  await hearPlaceOut(world, policyArtifact('marker', String(Date.now()), Buffer.from('marker')))
  const has = new Map<string, string>()
  for (const { repository, tag, digest } of world.puts) {
    // A tag makes it a deployment; what goes before it under its digest alone is on its way.
    if (!placeRepositories.includes(repository) || tag === undefined) continue
    const name = `${repository}:${tag}`
    if (has.get(name) === digest) {
      const puts = world.puts.map((put) => `${put.repository}:${put.tag ?? ''}@${put.digest.slice(7, 14)}`)
      throw new Error(`${name} was ${digest} already, and was put again: ${puts.join(' ')}`)
    }
    has.set(name, digest)
  }
  if (has.size === 0) throw new Error('nothing was ever deployed')
}
