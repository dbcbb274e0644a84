import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Agent, fetch } from 'undici'
import type { Certificates } from './certs.ts'
import { component } from './components.ts'
import { freePort } from './ports.ts'
import { startProcess, type RunningProcess } from './process.ts'
import { tempDir } from './temp.ts'
import { waitFor } from './wait.ts'

export interface Nomad {
  url: string
  /** May do everything, where it has ACLs. */
  token: string | undefined
  /** What it answers; throws with its words where that is no 200. */
  ask<T = unknown>(path: string, body?: unknown): Promise<T>
  /** Registers a job and waits until its deployment went well, where it has one. */
  run(job: NomadJob): Promise<void>
  /** The server is gone, as in a crash; the tasks go on. */
  kill(): Promise<void>
  /** The server comes back, with the state and the ports that it had. */
  restart(): Promise<void>
  /** With all that it runs. */
  stop(): Promise<void>
}

export type NomadJob = Record<string, unknown> & { ID: string }

export interface NomadOptions {
  /** Who asks needs a token. */
  acl?: boolean
  /** Only HTTPS, and who asks has to show a certificate. */
  tls?: Certificates
}

/**
 * Nomad on 127.0.0.1 with raw_exec: a server, whose state survives a restart, and a client with the tasks, each an agent of its own. In one
 * agent the client asks before the server can answer, and then waits for half a minute.
 */
export async function startNomad({ acl = false, tls }: NomadOptions = {}): Promise<Nomad> {
  const folder = tempDir('nomad')
  const [http, rpc, serf, own] = [await freePort(), await freePort(), await freePort(), await freePort()]
  const url = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${http}`
  const asking = createAsk(url, tls)
  const { ask } = asking
  const secured = tls && { tls: { http: true, ...pemOf(tls), verify_https_client: true } }
  const startServer = () => {
    const server = { enabled: true, bootstrap_expect: 1 }
    const config = { ports: { http, rpc, serf }, server, acl: { enabled: acl }, ...secured }
    return launch(join(folder, 'server'), config, async () => (await ask<string>('/v1/status/leader')) !== '')
  }
  let process = await startServer()
  if (acl) asking.token = (await ask<{ SecretID: string }>('/v1/acl/bootstrap', {})).SecretID
  await waitFor('the keyring', async () => (await ask<unknown[]>('/v1/operator/keyring/keys')).length > 0)
  const client = {
    enabled: true,
    servers: [`127.0.0.1:${rpc}`],
    network_interface: 'lo',
    // These ask outside of this machine.
    options: { 'fingerprint.denylist': 'env_aws,env_azure,env_digitalocean,env_gce,consul,vault' },
  }
  const worker = await launch(
    join(folder, 'client'),
    { ports: { http: own }, client, plugin: [{ raw_exec: [{ config: [{ enabled: true }] }] }], acl: { enabled: acl } },
    async () => (await ask<{ Status: string }[]>('/v1/nodes')).some(({ Status }) => Status === 'ready'),
  )
  return {
    url,
    token: asking.token,
    ask,
    run: (job) => run(ask, job),
    kill: () => process.kill(),
    async restart() {
      process = await startServer()
    },
    async stop() {
      await stopJobs(asking)
      await Promise.all([worker.stop(), process.stop()])
      unmountBelow(folder)
    },
  }
}

interface Asking {
  ask: Nomad['ask']
  send(path: string, more?: { method?: string; body?: string }): Promise<Response>
  token: string | undefined
}

function createAsk(url: string, tls: Certificates | undefined): Asking {
  const pem = (path: string) => readFileSync(path, 'utf8')
  const connect = tls && { ca: pem(tls.ca), cert: pem(tls.client.cert), key: pem(tls.client.key) }
  const dispatcher = connect && new Agent({ connect })
  const asking: Asking = {
    token: undefined,
    send: (path, more = {}) =>
      fetch(`${url}${path}`, {
        headers: asking.token === undefined ? {} : { 'x-nomad-token': asking.token },
        ...more,
        ...(dispatcher && { dispatcher }),
      }),
    async ask<T>(path: string, body?: unknown): Promise<T> {
      const more = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }
      const response = await asking.send(path, more)
      const text = await response.text()
      if (!response.ok) throw new Error(`${path} answered ${response.status}: ${text}`)
      return (text === '' ? undefined : JSON.parse(text)) as T
    },
  }
  return asking
}

function pemOf({ ca, server }: Certificates): object {
  return { ca_file: ca, cert_file: server.cert, key_file: server.key }
}

function launch(folder: string, more: object, ready: () => Promise<boolean>): Promise<RunningProcess> {
  mkdirSync(folder, { recursive: true })
  const config = join(folder, 'agent.json')
  const local = {
    data_dir: join(folder, 'data'),
    bind_addr: '127.0.0.1',
    advertise: { http: '127.0.0.1', rpc: '127.0.0.1', serf: '127.0.0.1' },
    disable_update_check: true,
    consul: { client_auto_join: false, server_auto_join: false, auto_advertise: false },
  }
  writeFileSync(config, JSON.stringify({ ...local, ...more }))
  return startProcess({
    command: component('nomad'),
    args: ['agent', '-config', config],
    name: `nomad in ${folder}`,
    // It would not start with what the first names.
    env: { AWS_CA_BUNDLE: undefined, NOMAD_ADDR: undefined, NOMAD_TOKEN: undefined },
    ready,
  })
}

/** Says its version on its port; `v-sick` never does. */
export const taskScript = `
  const { VERSION, PORT } = process.env
  const server = require('node:http').createServer((_, to) => to.end(VERSION))
  // On every address of this machine: Nomad asks at one of them. The one before may be about to end.
  server.on('error', () => setTimeout(() => server.listen(PORT), 50))
  if (VERSION !== 'v-sick') server.listen(PORT)
  setTimeout(() => {}, 300_000)`

interface JobOptions {
  server?: object
  update?: object
  isChecked?: boolean
  /** On every node: then Nomad counts nothing and moves nothing elsewhere. */
  isSystem?: boolean
}

/**
 * A service that says its version on its port: `v-sick` never does. It is well when it runs, or with
 * `isChecked` when Nomad was answered at its port. Beside it stands a task that nobody deploys.
 */
export async function serviceJob(
  id: string,
  { isChecked = false, isSystem = false, ...more }: JobOptions = {},
): Promise<NomadJob & { port: number }> {
  const port = await freePort()
  const second = 1_000_000_000
  const server = {
    Name: 'server',
    Driver: 'raw_exec',
    Config: { command: globalThis.process.execPath, args: ['-e', taskScript] },
    Env: { VERSION: 'v0', PORT: String(port), KEEP: 'this' },
    Meta: { owner: 'ann' },
    Resources: { CPU: 50, MemoryMB: 64 },
    KillTimeout: second,
    ...more.server,
  }
  const side = {
    Name: 'side',
    Driver: 'raw_exec',
    Config: { command: '/bin/sleep', args: ['300'] },
    Env: { VERSION: 'of-its-own' },
    Resources: { CPU: 20, MemoryMB: 16 },
    KillTimeout: second,
  }
  const check = { Type: 'http', Path: '/', Interval: second, Timeout: second, AddressMode: 'host' }
  return {
    port,
    ...{ ID: id, Name: id, Type: isSystem ? 'system' : 'service', Datacenters: ['dc1'], Meta: { team: 'shop' } },
    Update: {
      // For so long one that answers may still be the one before.
      ...{ MaxParallel: 1, MinHealthyTime: isChecked ? second : second / 10, HealthyDeadline: 60 * second },
      ...(!isChecked && { HealthCheck: 'task_states' }),
      ...{ ProgressDeadline: 90 * second, AutoRevert: true, ...more.update },
    },
    TaskGroups: [
      {
        Name: 'app',
        ...(!isSystem && { Count: 1 }),
        ...(isChecked && {
          Networks: [{ ReservedPorts: [{ Label: 'http', Value: port }] }],
          Services: [{ Name: id, Provider: 'nomad', PortLabel: 'http', Checks: [check] }],
        }),
        ...(!isSystem && { ReschedulePolicy: { Attempts: 0, Interval: 60 * second, Unlimited: false } }),
        RestartPolicy: { Attempts: 0, Interval: 60 * second, Delay: second, Mode: 'fail' },
        Tasks: [server, side],
      },
    ],
  }
}

async function run(ask: Nomad['ask'], job: NomadJob): Promise<void> {
  const { JobModifyIndex: registered } = await ask<{ JobModifyIndex: number }>('/v1/jobs', { Job: job })
  await waitFor(`job ${job.ID} to run`, async () => {
    if (job.Update === undefined) return true
    const latest = await ask<{ JobSpecModifyIndex: number; Status: string } | null>(
      `/v1/job/${job.ID}/deployment?namespace=${(job.Namespace as string | undefined) ?? 'default'}`,
    )
    return latest?.JobSpecModifyIndex === registered && latest.Status === 'successful'
  })
}

/** What it mounted for its tasks is in the way of removing the folder. */
function unmountBelow(folder: string): void {
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((path) => path.startsWith(`${folder}/`))
  // One of its processes may still be on its way out of there.
  for (const path of mounts) execFileSync('umount', ['--lazy', path])
}

/** Its tasks do not end with the agent. */
async function stopJobs(nomad: Asking): Promise<void> {
  for (const { ID, Namespace } of await nomad.ask<{ ID: string; Namespace: string }[]>('/v1/jobs?namespace=*')) {
    await nomad.send(`/v1/job/${encodeURIComponent(ID)}?namespace=${Namespace}`, { method: 'DELETE' })
  }
  await waitFor('every task to end', async () => {
    const allocations = await nomad.ask<{ ClientStatus: string }[]>('/v1/allocations?namespace=*')
    return allocations.every(({ ClientStatus }) => ClientStatus !== 'running' && ClientStatus !== 'pending')
  })
}
