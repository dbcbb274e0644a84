import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { expect } from 'vitest'
import { longshore, startLongshore, type Longshore, type LongshoreOptions } from './longshore.ts'
import type { PostgresServer } from './postgres.ts'
import { tempDir } from './temp.ts'

function policy(name: string): string {
  const folder = tempDir('policy')
  mkdirSync(join(folder, 'a'))
  writeFileSync(join(folder, 'a/policy.rego'), `package a\nimport rego.v1\nallow if input.${name}\n`)
  return folder
}

/** A new version, under its own tag and the one that is followed. */
export const push = async (server: Longshore, name: string) => {
  expect(await longshore(['push', policy(name), `${server.host}/policies/authz:${name}`])).toMatchObject({ code: 0 })
  expect(await longshore(['push', policy(name), `${server.host}/policies/authz:latest`])).toMatchObject({ code: 0 })
  await server.look('authz')
}

/** Where another one is to take over: soon, and not only because one that acts had to wait for the processor. */
export const swift = { duration: '5s', renew: '500ms', poll: '200ms' }

/** Where nobody is to take over, however long the one that acts has to wait for something. */
export const lasting = { duration: '10m', renew: '500ms', poll: '200ms' }

export const isReady = async (server: Longshore) => (await server.fetch('/health/ready')).ok

/** Instances that share everything, and a file in which whoever deploys leaves its process id. */
export async function pair(postgres: PostgresServer, lease?: object) {
  const [data, log] = [join(tempDir('shared'), 'data'), join(tempDir('deployed'), 'log')]
  const url = await postgres.createDatabase()
  const configOf = (to = url) => ({
    content: { path: data },
    state: { type: 'postgres', url: to, ...(lease && { lease }) },
    deployers: {
      script: {
        type: 'command',
        command: ['/bin/sh', '-c', 'echo "$LONGSHORE_RELEASE $PPID" >> "$LOG"'],
        env: { LOG: log },
      },
    },
    bundles: {
      authz: { store: { type: 'local', repository: 'policies/authz' }, schedule: 'off', deploy: [{ to: 'script' }] },
    },
  })
  return {
    ...{ data, url, log },
    start: (more: LongshoreOptions & { to?: string } = {}) => startLongshore({ config: configOf(more.to), ...more }),
    deployed: () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []),
  }
}

/** A wire to Postgres on which, while it is frozen, nothing moves and nothing ends. */
export async function openWire(port: number) {
  let isFrozen = false
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      from.on('data', (chunk) => to.write(chunk))
      from.on('close', () => to.destroy())
      from.on('error', () => undefined)
      if (isFrozen) from.pause()
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as { port: number }).port,
    freeze() {
      isFrozen = true
      for (const socket of sockets) socket.pause()
    },
    thaw() {
      isFrozen = false
      for (const socket of sockets) socket.resume()
    },
    close() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}
