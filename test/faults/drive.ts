import { inspect } from 'node:util'
import { expect } from 'vitest'
import type { Clock } from '../../src/lib/clock.ts'
import { IntegrityError, RemoteError } from '../../src/lib/errors.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { Redactor } from '../../src/lib/redact.ts'
import { createOciClient, type OciClient } from '../../src/oci/client.ts'
import { digestOf } from '../../src/oci/digest.ts'
import type { Limits } from '../../src/oci/limits.ts'
import type { Repository } from '../../src/oci/repository.ts'
import type { Descriptor } from '../../src/oci/target.ts'
import { ociManifest } from '../../src/oci/media.ts'
import {
  hostileRegistry,
  hostileToken,
  putArtifact,
  type Artifact,
  type Fault,
  type HostileOptions,
  type HostileRegistry,
  type Phase,
} from '../support/hostile-registry.ts'

export const username = 'robot'
export const password = 'password-that-nobody-may-see'

/** Stands still but for waits, which pass at once and are written down, and for what a fault lets pass. */
export class HastyClock implements Clock {
  readonly waits: number[] = []
  #passedMs = 0
  #timers: { at: number; run: () => void }[] = []

  /** Timers that were neither due nor cancelled. */
  get pending(): number {
    return this.#timers.length
  }

  now(): number {
    return Date.UTC(2026, 0, 1) + this.#passedMs
  }

  monotonic(): number {
    return this.#passedMs
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#passedMs + ms, run }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    this.waits.push(ms)
    await this.pass(ms)
    signal?.throwIfAborted()
  }

  async pass(ms: number): Promise<void> {
    this.#passedMs += ms
    const due = this.#timers.filter(({ at }) => at <= this.#passedMs)
    this.#timers = this.#timers.filter(({ at }) => at > this.#passedMs)
    for (const { run } of due) run()
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** What is done with the registry: each gives something that can be compared with what is honest. */
export type Operation = (about: {
  repository: Repository
  client: OciClient
  registry: HostileRegistry
  artifact: Artifact
  clock: HastyClock
}) => Promise<unknown>

export const resolve: Operation = ({ repository }) => repository.head('latest').then((found) => found?.digest)
export const manifestByTag: Operation = ({ repository }) => repository.manifest('latest').then(({ digest }) => digest)
export const manifest: Operation = ({ repository, artifact }) =>
  repository.manifest(artifact.manifest.digest).then(({ digest }) => digest)
export const layer: Operation = ({ repository, artifact }) => read(repository, artifact.layer)
export const config: Operation = ({ repository, artifact }) => read(repository, artifact.config)
export const tags: Operation = ({ repository }) => Array.fromAsync(repository.tags()).then((all) => all.join())
export const referrers: Operation = ({ repository, artifact }) =>
  repository.referrers(artifact.manifest.digest).then((found) => found.length)
/** Of bytes that the registry has not; true when it has them afterwards. */
export const push: Operation = async ({ repository, registry }) => {
  const { descriptor, open } = pushed
  await repository.putBlob(descriptor, open)
  return registry.blobs.get(descriptor.digest)?.equals(pushed.bytes)
}
/** A small one, with the first request. */
export const pushAtOnce: Operation = async ({ repository, registry }) => {
  const bytes = pushed.bytes.subarray(0, 1_000)
  const descriptor = { ...pushed.descriptor, digest: digestOf(bytes), size: bytes.length }

  const open = async function* () {
    yield bytes
  }
  await repository.putBlob(descriptor, open, undefined, { unasked: true })
  return registry.blobs.get(descriptor.digest)?.equals(bytes)
}
export const mount: Operation = ({ client, repository, registry, artifact }) =>
  repository.mountBlob(
    { ...pushed.descriptor, digest: artifact.layer.digest, size: artifact.layer.size },
    client.repository(`${registry.host}/acme/other`),
  )
export const pushManifest: Operation = async ({ repository, artifact }) => {
  const json = JSON.stringify({
    schemaVersion: 2,
    mediaType: ociManifest,
    config: artifact.config,
    layers: [],
    annotations: { a: 'b' },
  })
  const bytes = Buffer.from(json)
  await repository.putManifest({ mediaType: ociManifest, digest: digestOf(bytes), bytes }, ['v2'])
  return true
}

const pushedBytes = Buffer.alloc(20_000, 'to be pushed ')
export const pushed = {
  bytes: pushedBytes,
  descriptor: { mediaType: 'application/octet-stream', digest: digestOf(pushedBytes), size: pushedBytes.length },
  open: async function* (this: void): AsyncGenerator<Uint8Array, void, undefined> {
    for (let at = 0; at < pushedBytes.length; at += 5_000) yield pushedBytes.subarray(at, at + 5_000)
  },
}

async function read(repository: Repository, descriptor: Descriptor): Promise<string> {
  return digestOf(Buffer.concat(await Array.fromAsync(repository.blob(descriptor))))
}

export interface Failure {
  kind: 'remote' | 'integrity'
  code: string
  status?: number
  retryAfterMs?: number
  /** The message holds each, and the host besides. */
  says: string[]
}

export interface Row {
  name: string
  does: Operation
  /** Laid on the phase: for all of its requests, or the first `times`. */
  faults: Partial<Record<Phase, Fault | { fault: Fault; times: number }>>
  auth?: HostileOptions['auth']
  limits?: Partial<Limits>
  /** Changes what the registry honestly holds. */
  prepare?: (registry: HostileRegistry, artifact: Artifact) => void
  /** Exactly the requests that are made, by phase. */
  requests: Partial<Record<Phase, number>>
  /** Milliseconds waited between tries. */
  waits?: number[]
  /** How long it may take in all; what two tries of a minute take, unless said. */
  withinMs?: number
  /** What goes wrong … */
  fails?: Failure
  /** … or what comes of it all the same; unsaid: what an honest registry would give. */
  gives?: unknown
  /** Looks at what else the registry was asked. */
  also?: (registry: HostileRegistry) => void
}

export const layerBytes = Buffer.from(Array.from({ length: 3_000 }, (_value, at) => at % 251))

/** Does what a row says with a registry and a client of its own; the row's outcome is checked to the last request. */
export async function run(row: Row): Promise<void> {
  const clock = new HastyClock()
  const pass = (ms: number) => clock.pass(ms)
  await using registry = await hostileRegistry({ ...(row.auth && { auth: row.auth }), username, password, pass })
  const artifact = putArtifact(registry, layerBytes)
  row.prepare?.(registry, artifact)
  const client = hostileClient(registry, clock, row)
  const repository = client.repository(registry.name)
  const about = { repository, client, registry, artifact, clock }
  try {
    const honest = row.fails === undefined && !('gives' in row) ? await honestResult(row, about) : row.gives
    for (const [phase, one] of Object.entries(row.faults)) {
      if (typeof one === 'function') registry.fault(phase as Phase, one)
      else registry.fault(phase as Phase, one.fault, one.times)
    }
    const outcome = await row.does(about).then(
      (given) => ({ given }),
      (error: unknown) => ({ error }),
    )
    if (row.fails === undefined) expect(outcome).toEqual({ given: honest })
    else checkError(outcome, row.fails, registry)
    expect(registry.counts()).toEqual(row.requests)
    if (row.waits !== undefined) expect(clock.waits).toEqual(row.waits)
    expect(clock.monotonic()).toBeLessThanOrEqual(row.withinMs ?? 130_000)
    row.also?.(registry)
  } finally {
    await client.close()
  }
}

export function hostileClient(
  registry: HostileRegistry,
  clock: Clock,
  { auth, limits }: Pick<Row, 'auth' | 'limits'> = {},
): OciClient {
  return createOciClient({
    clock,
    random: () => 1,
    logger: silentLogger,
    redactor: new Redactor(),
    registries: auth === undefined ? {} : { [registry.host]: { username, password } },
    ...(limits && { limits }),
  })
}

/** Asked of the same registry before it turns, by a client of its own. */
async function honestResult(row: Row, about: Parameters<Operation>[0]): Promise<unknown> {
  if ([push, pushAtOnce, mount, pushManifest].includes(row.does)) return true
  const client = hostileClient(about.registry, new HastyClock(), row)
  try {
    return await row.does({ ...about, client, repository: client.repository(about.registry.name) })
  } finally {
    await client.close()
    about.registry.forget()
  }
}

function checkError(outcome: object, fails: Failure, registry: HostileRegistry): void {
  expect(outcome).toHaveProperty('error')
  const { error } = outcome as { error: Error & Record<string, unknown> }
  const { kind, code, status, retryAfterMs, says } = fails
  const text = inspect(error, { depth: 10 })
  if (!(error instanceof (kind === 'remote' ? RemoteError : IntegrityError))) throw error
  expect({ code: error.code, status: error.status }, text).toEqual({ code, status })
  for (const part of [registry.host, ...says]) expect(error.message).toContain(part)
  if (retryAfterMs !== undefined) expect(error.retryAfterMs).toBe(retryAfterMs)
  expect(error.message.length).toBeLessThan(1_000)
  checkNoSecret(`${text}${error.message}${String(error.hint)}`)
}

export function checkNoSecret(text: string): void {
  const basic = Buffer.from(`${username}:${password}`).toString('base64')
  for (const secret of [password, basic, hostileToken, 'signature-of-a-url']) expect(text).not.toContain(secret)
}

export const repositoryName = 'acme/policies'
