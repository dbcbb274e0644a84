import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { digestOf } from '../../src/oci/digest.ts'
import type { BundleStatus } from '../../src/model/status.ts'
import type { Look } from '../../src/model/release.ts'
import { artifactOf, indexType, manifestType, policyArtifact, type Artifact, type Client } from './kill-client.ts'
import { pick } from './kill-ledger.ts'
import { extraRepository, followedTag, octets, pushArtifact, type Followed, type World } from './kill-world.ts'

/** Does one thing after the other until its server is gone, in repositories of its own. */
export interface Worker {
  kind: Kind
  /** What was under way when it ended, or is now. */
  step(): string
  /** Requests that were begun. */
  requests(): number
  /** One of them, and not what only prepares for it, has had no answer yet. */
  isUnderWay(): boolean
  /** Once. Throws when a request fails, which is right only after the kill. */
  run(): Promise<void>
}

type Step = (job: Job) => Promise<void>

interface Job {
  world: World
  client: Client
  /** A repository that nobody else writes. */
  repository: string
}

const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip'
const configType = 'application/vnd.oci.image.config.v1+json'
const there = 'there'
const key = (kind: 'blob' | 'manifest' | 'tag', repository: string, name: string) => `${kind} ${repository} ${name}`

/** Mostly small, now and then one that takes a while. */
function someBytes({ random }: World): Buffer {
  return randomBytes(1 + Math.floor(pick([30, 3_000, 60_000, 60_000, 600_000], random) * random()))
}

async function pushBlob({ world, client, repository }: Job, bytes: Buffer): Promise<void> {
  const digest = digestOf(bytes)
  const acknowledge = world.ledger.begin(key('blob', repository, digest), there)
  await client.send(`POST of ${bytes.length} bytes to ${repository}`, {
    method: 'POST',
    path: `/v2/${repository}/blobs/uploads/?digest=${digest}`,
    headers: octets,
    body: bytes,
  })
  acknowledge()
}

async function pushInChunks(job: Job): Promise<void> {
  const { world, client, repository } = job
  const bytes = someBytes(world)
  const digest = digestOf(bytes)
  const count = 1 + Math.floor(world.random() * 4)
  const begun = await client.send(`POST of an upload to ${repository}`, {
    method: 'POST',
    path: `/v2/${repository}/blobs/uploads/`,
  })
  let path = begun.header('location')
  const size = Math.ceil(bytes.length / count)
  for (let at = 0; at < bytes.length; at += size) {
    const body = bytes.subarray(at, at + size)
    const range = { ...octets, 'content-range': `${at}-${at + body.length - 1}` }
    const what = `PATCH of ${body.length} bytes at ${at} of ${bytes.length} to ${repository}`
    path = (await client.send(what, { method: 'PATCH', path, headers: range, body })).header('location')
  }
  const acknowledge = world.ledger.begin(key('blob', repository, digest), there)
  await client.send(`PUT of the digest to ${repository}`, { method: 'PUT', path: `${path}?digest=${digest}` })
  acknowledge()
}

async function mount(job: Job): Promise<void> {
  const { world, client, repository } = job
  const known = ['single', 'chunked'].flatMap((kind) => world.ledger.present(`blob kill/${kind}`))
  if (known.length === 0) return pushBlob({ ...job, repository: 'kill/single-mount' }, someBytes(world))
  const [, from = '', digest = ''] = pick(known, world.random).split(' ')
  const acknowledge = world.ledger.begin(key('blob', repository, digest), there)
  // Without a source, any repository that may be read is one.
  const source = world.random() < 0.7 ? `&from=${encodeURIComponent(from)}` : ''
  const answer = await client.send(`mount from ${from} in ${repository}`, {
    method: 'POST',
    path: `/v2/${repository}/blobs/uploads/?mount=${digest}${source}`,
  })
  if (answer.status === 201) return acknowledge()
  // Only repositories that hold a manifest are looked through.
  if (source !== '') throw new Error(`${from} does not give ${digest} for a mount: ${answer.status}`)
  // An upload was begun instead, of which there may be only so many.
  await client.send(`DELETE of an upload to ${repository}`, { method: 'DELETE', path: answer.header('location') })
}

async function putManifest(job: Job, artifact: Artifact, tags: readonly string[]): Promise<void> {
  const { world, client, repository } = job
  const { ledger } = world
  const manifest = key('manifest', repository, artifact.digest)
  ledger.needs(
    manifest,
    artifact.blobs.map((blob) => key('blob', repository, blob.digest)),
  )
  const acknowledge = [
    ledger.begin(manifest, there),
    ...tags.map((tag) => ledger.begin(key('tag', repository, tag), artifact.digest)),
  ]
  const [only] = tags
  const reference =
    tags.length === 1
      ? only!
      : `${artifact.digest}${tags.length === 0 ? '' : `?${tags.map((tag) => `tag=${tag}`).join('&')}`}`
  await client.send(`PUT of a manifest to ${repository} as ${tags.join(', ') || 'untagged'}`, {
    method: 'PUT',
    path: `/v2/${repository}/manifests/${reference}`,
    headers: { 'content-type': artifact.mediaType },
    body: artifact.bytes,
  })
  for (const one of acknowledge) one()
}

async function pushLocal(job: Job, artifact: Artifact, tags: readonly string[]): Promise<void> {
  for (const { bytes } of artifact.blobs) await pushBlob(job, bytes)
  await putManifest(job, artifact, tags)
}

let names = 0
const newTag = () => `t${++names}`

/** New tags, tags that move, several at once, none, and indexes of what is there. */
async function pushManifests(job: Job): Promise<void> {
  const { world } = job
  const artifacts = [1, 2].map(() => artifactOf([someBytes(world)], layerType, configType))
  await pushLocal(job, artifacts[0]!, [newTag()])
  await pushLocal(job, artifacts[1]!, pick([['moving'], [newTag(), newTag()], []], world.random))
  const index = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: indexType,
      manifests: artifacts.map(({ digest, bytes }) => ({ mediaType: manifestType, digest, size: bytes.length })),
    }),
  )
  const made = { digest: digestOf(index), mediaType: indexType, bytes: index, blobs: [] }
  await putManifest(job, made, pick([['moving'], [newTag()]], world.random))
}

async function deleteThings(job: Job): Promise<void> {
  const { world, client, repository } = job
  const { ledger } = world
  const remove = async (path: string, keys: string[]) => {
    const acknowledge = keys.map((one) => ledger.begin(one, null))
    await client.send(`DELETE of ${path}`, { method: 'DELETE', path: `/v2/${repository}/${path}` })
    for (const one of acknowledge) one()
  }
  const artifact = artifactOf([someBytes(world)], layerType, configType)
  const [tag, other] = [newTag(), newTag()]
  const orphan = randomBytes(5_000)
  await pushLocal(job, artifact, [tag, other])
  await pushBlob(job, orphan)
  await remove(`manifests/${tag}`, [key('tag', repository, tag)])
  await remove(`manifests/${artifact.digest}`, [
    key('manifest', repository, artifact.digest),
    key('tag', repository, other),
  ])
  await remove(`blobs/${digestOf(orphan)}`, [key('blob', repository, digestOf(orphan))])
}

/** A new version of a bundle, or, now and then, the one before once more. */
function nextVersion({ random }: World, { name, versions }: Followed): { artifact: Artifact; index: number } {
  const before = versions.at(-2)
  const revision = `v${versions.length}`
  const again = before !== undefined && random() < 0.15
  const version = again
    ? before
    : { revision, artifact: policyArtifact(name, revision, randomBytes(40_000 * random())) }
  if (name === 'repacked' && !again) version.artifact = withDockerLayer(version.artifact)
  return { artifact: version.artifact, index: versions.push(version) - 1 }
}

/** Not a type that OPA takes: it has to be packed again. */
function withDockerLayer({ blobs }: Artifact): Artifact {
  return artifactOf(
    blobs.slice(1).map(({ bytes }) => bytes),
    'application/vnd.docker.image.rootfs.diff.tar.gzip',
    configType,
  )
}

async function look({ client }: Job, { name }: Followed): Promise<void> {
  const path = `/api/v1/bundles/${name}/look`
  const answer = await client.send(`look at ${name}`, { method: 'POST', path })
  const { outcome, message } = JSON.parse(answer.bytes.toString()) as Look
  if (outcome !== 'released' && outcome !== 'unchanged') throw new Error(`look at ${name}: ${outcome}: ${message}`)
}

/** Somebody else pushes to the upstream registry, and longshore is told to look. */
async function fetchVersion(job: Job): Promise<void> {
  const { world } = job
  const bundle = pick(
    world.bundles.filter(({ isLocal }) => !isLocal),
    world.random,
  )
  const { artifact, index } = nextVersion(world, bundle)
  await pushArtifact(world.upstreamClient, bundle.repository, artifact, [followedTag])
  await look(job, bundle)
  bundle.floor = index
}

async function deployVersion(job: Job): Promise<void> {
  const { world, client } = job
  const bundle = world.bundles.find(({ isLocal }) => isLocal)!
  const { artifact, index } = nextVersion(world, bundle)
  await pushLocal({ ...job, repository: bundle.repository }, artifact, [followedTag])
  await look(job, bundle)
  bundle.floor = index
  const path = `/api/v1/bundles/${bundle.name}`
  for (const deadline = Date.now() + 60_000; ; await sleep(5)) {
    const answer = await client.send(`deployment of ${bundle.name}`, { method: 'GET', path })
    const { deployments } = JSON.parse(answer.bytes.toString()) as BundleStatus
    const failed = deployments.find(({ state }) => state === 'failed')
    if (failed !== undefined) throw new Error(`a deployment failed: ${failed.lastError}`)
    if (deployments.every(({ state }) => state === 'done')) return
    if (Date.now() > deadline) throw new Error(`not deployed in 60 s: ${answer.bytes.toString()}`)
  }
}

async function reload(job: Job): Promise<void> {
  const { world, client } = job
  world.changeConfig()
  process.kill(world.server.process.pid, 'SIGHUP')
  // Waits for the one before.
  await client.send('SIGHUP, and a reload after it', { method: 'POST', path: '/api/v1/config/reload' })
  await pushLocal({ ...job, repository: extraRepository }, policyArtifact('extra', newTag(), randomBytes(500)), [
    followedTag,
  ])
}

/** Blobs that no manifest names may go; they have to be older than the config's grace, which makes none of them go for sure. */
async function collect({ world, client }: Job): Promise<void> {
  world.ledger.release('blob ')
  await client.send('collection', {
    method: 'POST',
    path: '/api/v1/gc',
    headers: { 'content-type': 'application/json' },
    body: Buffer.from('{}'),
  })
}

const steps = {
  single: (job) => pushBlob(job, someBytes(job.world)),
  chunked: pushInChunks,
  mount,
  manifests: pushManifests,
  delete: deleteThings,
  fetch: fetchVersion,
  deploy: deployVersion,
  reload,
  collect,
} satisfies Record<string, Step>

export type Kind = keyof typeof steps
export const kinds = Object.keys(steps) as Kind[]

/** These change one thing that is there once. */
const alone = new Set<Kind>(['fetch', 'deploy', 'reload', 'collect'])

/** Of others each request is what they are about; with these, some are pushes that go before. */
const ownSteps: Partial<Record<Kind, RegExp>> = { deploy: /^deployment of/, reload: /^SIGHUP/ }

/** The most requests after whose beginning a server is killed: about two rounds of the same. */
export const mostRequests: Record<Kind, number> = {
  ...{ single: 8, chunked: 12, mount: 8, manifests: 16, delete: 16, fetch: 3, deploy: 20, reload: 8, collect: 1 },
}

export function isAlone(kind: Kind): boolean {
  return alone.has(kind)
}

export function createWorker(world: World, kind: Kind, number: number): Worker {
  const client = world.client()
  return {
    kind,
    step: () => client.step,
    requests: () => client.requests,
    isUnderWay: () => client.isUnderWay && (ownSteps[kind]?.test(client.step) ?? true),
    async run() {
      await steps[kind]({ world, client, repository: `kill/${kind}-${number}` })
    },
  }
}
