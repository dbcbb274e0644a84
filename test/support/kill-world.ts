import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient, type Artifact, type Client } from './kill-client.ts'
import { startHook, type Hook } from './kill-hook.ts'
import { Ledger, seeded } from './kill-ledger.ts'
import { createKillState, type KillState, type StateKind } from './kill-state.ts'
import { programPath, startLongshore, type Longshore } from './longshore.ts'
import { freePort } from './ports.ts'
import { startProcess } from './process.ts'
import { startDistributionV3, startOlareg, type Registry } from './registries.ts'
import { tempDir } from './temp.ts'
import { waitFor } from './wait.ts'

/** What was pushed for a bundle to follow, in order. */
export interface Followed {
  name: string
  /** A repository of the upstream registry, or of longshore's own. */
  repository: string
  isLocal: boolean
  versions: { revision: string; artifact: Artifact }[]
  /** The oldest version that may still be served: a look at it was answered, or it was seen. */
  floor: number
  /** Releases as they were last seen, oldest first. */
  history: { number: number; revision: string | null; bundleDigest: string | null }[]
}

/** A manifest that somebody put to the place. */
export interface Put {
  repository: string
  tag: string | undefined
  digest: string
}

export interface World {
  seed: number
  random: () => number
  ledger: Ledger
  folder: string
  state: KillState
  upstream: Registry
  place: Registry
  /** In the order in which the place has them. */
  puts: Put[]
  /** A place that cannot be asked what it has. */
  hook: Hook
  bundles: Followed[]
  server: Longshore
  client(): Client
  /** Of the upstream registry. */
  upstreamClient: Client
  /** Writes one of many configs; all have `bundles`. */
  changeConfig(): void
  /** Starts the server anew, in its folder and at its port. */
  start(): Promise<void>
  /** Starts it, and kills it so much later, whatever it has come to by then. */
  startAndKill(afterMs: number): Promise<void>
  /** Collects without a server, and kills that as soon as `isTime`; true when it had come to its end by then. */
  collectAndKill(isTime: () => boolean): Promise<boolean>
  close(): Promise<void>
}

export const followedTag = 'stable'
export const placeRepositories = ['prod/first', 'prod/second']
/** A place that is a folder, in the server's own. */
export const placeFolder = 'place'
/** Comes and goes with the config. */
export const extraRepository = 'policies/extra'

export async function createWorld(seed: number, kind: StateKind = 'sqlite'): Promise<World> {
  const [told, hook] = await Promise.all([listenToPlace(), startHook()])
  const [upstream, place] = await Promise.all([startOlareg(), startDistributionV3({ notify: [told.url] })])
  const random = seeded(seed)
  const [folder, port] = [tempDir('kill'), await freePort()]
  const state = await createKillState(kind, folder)
  let config = configOf({ upstream, place, hook, random, state })
  const start = async () => {
    await state.free()
    return startLongshore({ folder, port, config })
  }
  const world: World = {
    ...{ seed, random, folder, state, upstream, place, hook },
    ledger: new Ledger(),
    puts: told.puts,
    bundles: [
      followed('fetched', 'acme/fetched', false),
      followed('repacked', 'acme/repacked', false),
      followed('deployed', 'policies/deployed', true),
    ],
    server: undefined as unknown as Longshore,
    upstreamClient: createClient(upstream.url),
    client: () => createClient(`http://127.0.0.1:${port}`),
    changeConfig() {
      config = configOf({ upstream, place, hook, random, state })
      world.server.writeConfig(config)
    },
    async start() {
      world.server = await start()
    },
    async startAndKill(afterMs) {
      await state.free()
      const started = await startProcess({
        command: process.execPath,
        args: [programPath, 'serve', '--config', world.server.configFile],
        name: 'longshore, to be killed while it starts',
        cwd: folder,
        env: { DOCKER_CONFIG: folder, LONGSHORE_CONFIG: undefined },
        ready: () => sleep(afterMs, true),
      })
      await started.kill()
    },
    async collectAndKill(isTime) {
      await state.free()
      const args = [programPath, 'gc', '-c', world.server.configFile]
      const child = spawn(process.execPath, args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
      let output = ''
      child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text))
      const exited = once(child, 'close')
      while (child.exitCode === null && !isTime()) await sleep(1)
      child.kill('SIGKILL')
      const [code] = (await exited) as [number | null]
      if (code !== null && code !== 0) throw new Error(`gc ended with ${code}: ${output}`)
      return code === 0
    },
    async close() {
      told.server.close()
      told.server.closeAllConnections()
      await Promise.all([world.server?.stop(), upstream.stop(), place.stop(), hook.stop()])
      await state.stop()
    },
  }
  await world.start().catch(async (error: unknown) => {
    await world.close()
    throw error
  })
  return world
}

function followed(name: string, repository: string, isLocal: boolean): Followed {
  return { name, repository, isLocal, versions: [], floor: -1, history: [] }
}

function configOf(parts: Pick<World, 'upstream' | 'place' | 'hook' | 'random' | 'state'>): Record<string, unknown> {
  const { upstream, place, hook, random, state } = parts
  const common = () => ({
    ...{ follow: followedTag, schedule: 'off', publish: ['told'] },
    keep: 1 + Math.floor(random() * 5),
  })
  const remote = (name: string) => ({
    ...common(),
    store: { type: 'oci', repository: `${upstream.host}/acme/${name}` },
  })
  const local = (repository: string) => ({ ...common(), store: { type: 'local', repository } })
  const isThere = () => random() < 0.5
  const [first, second] = placeRepositories.map((repository) => ({
    type: 'oci',
    repository: `${place.host}/${repository}`,
  }))
  return {
    ...state.config,
    content: { path: './data', gc: { grace: '10s', schedule: 'off' } },
    bundles: {
      fetched: remote('fetched'),
      repacked: remote('repacked'),
      deployed: {
        ...local('policies/deployed'),
        deploy: [{ to: 'first' }, ...(isThere() ? [{ to: 'second' }] : []), { to: 'hook' }, { to: 'folder' }],
      },
      ...(isThere() && { extra: local(extraRepository) }),
    },
    deployers: {
      ...{ first, second },
      hook: { type: 'http', url: hook.url },
      folder: { type: 'directory', root: placeFolder, form: 'tarball' },
    },
    publishers: { told: { type: 'http', url: hook.eventsUrl } },
  }
}

interface Notification {
  events: {
    id: string
    action: string
    target: { mediaType: string; repository: string; tag?: string; digest: string }
  }[]
}

/** distribution tells of each push, in order, and again until it is heard. */
async function listenToPlace(): Promise<{ server: Server; url: string; puts: Put[] }> {
  const puts: Put[] = []
  const heard = new Set<string>()
  const server = createServer((request: IncomingMessage, response) => {
    void Array.fromAsync(request as AsyncIterable<Buffer>).then((chunks) => {
      const { events } = JSON.parse(Buffer.concat(chunks).toString()) as Notification
      for (const { id, action, target } of events.filter((event) => !heard.has(event.id))) {
        heard.add(id)
        if (action !== 'push' || !target.mediaType.includes('manifest')) continue
        puts.push({ repository: target.repository, tag: target.tag, digest: target.digest })
      }
      response.end()
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, puts }
}

/** Once this settles, the place has told of everything that it had got before. */
export async function hearPlaceOut(world: World, marker: Artifact): Promise<void> {
  const client = createClient(world.place.url)
  await pushArtifact(client, 'marker', marker, ['marker'])
  await waitFor('the place to tell of the marker', () =>
    world.puts.some(({ repository, digest }) => repository === 'marker' && digest === marker.digest),
  )
}

/** To a registry that is not killed. */
export async function pushArtifact(
  client: Client,
  repository: string,
  { blobs, mediaType, bytes }: Artifact,
  tags: readonly string[],
): Promise<void> {
  for (const blob of blobs) {
    const start = `start ${repository}`
    const begun = await client.send(start, { method: 'POST', path: `/v2/${repository}/blobs/uploads/` })
    const location = begun.header('location')
    const path = `${location}${location.includes('?') ? '&' : '?'}digest=${encodeURIComponent(blob.digest)}`
    await client.send(`put ${repository}`, { method: 'PUT', path, body: blob.bytes, headers: octets })
  }
  for (const tag of tags) {
    const path = `/v2/${repository}/manifests/${tag}`
    await client.send(`tag ${repository}:${tag}`, {
      method: 'PUT',
      path,
      body: bytes,
      headers: { 'content-type': mediaType },
    })
  }
}

export const octets = { 'content-type': 'application/octet-stream' }
