import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Allocation, Evaluation, Job, NomadDeployment } from '../../src/deployers/nomad/types.ts'

/** What Nomad does by itself after a registration, for what a real one will not do on demand. */
export type Reaction = (nomad: FakeNomad, job: Job) => void

export interface FakeNomad {
  url: string
  /** Undefined: it was purged. */
  job: Job | undefined
  versions: Job[]
  evaluations: Partial<Evaluation>[]
  deployments: Partial<NomadDeployment>[]
  allocations: Partial<Allocation>[]
  /** `GET /v1/job/web/deployments`, in order, without queries. */
  asked: string[]
  /** The bodies of registrations, as they came. */
  registrations: string[]
  headers: IncomingMessage['headers'][]
  queries: URLSearchParams[]
  /** What comes of a registration; unless said, a deployment that goes well. */
  react: Reaction
  /** Called before a registration is looked at: then somebody else may be faster. */
  beforeRegister: (() => void) | undefined
  /** Does what a registration asks for, and hangs up. */
  losesAnswers: boolean
  /** Answered in place of the real answer, for each request where it returns one. */
  refuse: ((method: string, path: string) => { status: number; body: string } | undefined) | undefined
  /** Puts another version of the job in place, as anybody might. */
  put(change: (job: Job) => Job): Job
  /** The same, and those who wait are told. */
  change(change: (nomad: FakeNomad) => void): void
  close(): Promise<void>
}

export const succeed: Reaction = (nomad, job) => {
  nomad.deployments.push(deploymentOf(job, 'successful', 'Deployment completed successfully'))
  job.Stable = true
}

export function deploymentOf(job: Job, status: string, words: string): NomadDeployment {
  return {
    ...{ ID: `d${job.Version}`, JobVersion: job.Version, JobSpecModifyIndex: job.JobModifyIndex },
    ...{ Status: status, StatusDescription: words },
  }
}

/** One job `web` with a task `server`, in memory. `tls`: PEM; who asks has to show a certificate of `ca`. */
export async function startFakeNomad(
  tasks: object[] = [taskOf('server')],
  tls?: { cert: Buffer; key: Buffer; ca: Buffer },
): Promise<FakeNomad> {
  let index = 10
  const waiting = new Set<() => void>()
  const bump = () => {
    index += 1
    for (const wake of waiting) wake()
    waiting.clear()
  }
  const listener: RequestListener = (request, response) =>
    void answer(nomad, request, response, { at: () => index, waiting })
  const server =
    tls === undefined
      ? createServer(listener)
      : createTlsServer({ ...tls, requestCert: true, rejectUnauthorized: true }, listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const nomad: FakeNomad = {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    job: undefined,
    ...{ versions: [], evaluations: [], deployments: [], allocations: [] },
    ...{ asked: [], registrations: [], headers: [], queries: [] },
    react: succeed,
    beforeRegister: undefined,
    losesAnswers: false,
    refuse: undefined,
    put(change) {
      bump()
      const before = nomad.job!
      const job = {
        ...change(structuredClone(before)),
        Version: before.Version + 1,
        JobModifyIndex: index,
        Stable: false,
      }
      nomad.job = job
      nomad.versions.push(job)
      return job
    },
    change(change) {
      change(nomad)
      bump()
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  const groups = [{ Name: 'app', Tasks: tasks }]
  nomad.job = {
    ...{ ID: 'web', Version: 0, JobModifyIndex: index, Stop: false, Stable: true },
    ...{ Meta: { team: 'shop' }, TaskGroups: groups as Job['TaskGroups'] },
  }
  nomad.versions.push(nomad.job)
  return nomad
}

export function taskOf(name: string, more: object = {}): object {
  return { Name: name, Driver: 'docker', Config: { image: 'web:0', args: ['a', 'b'] }, Env: null, Meta: null, ...more }
}

interface Index {
  at: () => number
  waiting: Set<() => void>
}

async function answer(
  nomad: FakeNomad,
  request: IncomingMessage,
  response: ServerResponse,
  { at, waiting }: Index,
): Promise<void> {
  const { pathname, searchParams } = new URL(request.url!, nomad.url)
  nomad.asked.push(`${request.method} ${pathname}`)
  nomad.headers.push(request.headers)
  nomad.queries.push(searchParams)
  const body = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>)).toString()
  const refused = nomad.refuse?.(request.method!, pathname)
  if (refused !== undefined) return void response.writeHead(refused.status).end(refused.body)
  if (request.method === 'POST') return register(nomad, body, response)
  const known = Number(searchParams.get('index') ?? 0)
  if (known >= at()) await new Promise<void>((wake) => waiting.add(wake))
  const value = read(nomad, pathname)
  if (value === undefined) return void response.writeHead(404).end('job not found')
  response.writeHead(200, { 'x-nomad-index': String(at()) }).end(JSON.stringify(value))
}

function read(nomad: FakeNomad, path: string): unknown {
  const [, what = ''] = /^\/v1\/job\/web(\/.*)?$/.exec(path) ?? [undefined, 'elsewhere']
  const lists: Record<string, unknown> = {
    '': nomad.job,
    '/versions': { Versions: nomad.versions },
    '/evaluations': nomad.evaluations,
    '/deployments': nomad.deployments,
    '/allocations': nomad.allocations,
  }
  return lists[what]
}

function register(nomad: FakeNomad, body: string, response: ServerResponse): void {
  nomad.registrations.push(body)
  const {
    Job: wanted,
    JobModifyIndex,
    EnforceIndex,
  } = JSON.parse(body) as {
    Job: Job
    JobModifyIndex: number
    EnforceIndex: boolean
  }
  nomad.beforeRegister?.()
  if (!EnforceIndex || nomad.job?.JobModifyIndex !== JobModifyIndex) {
    const words = `Enforcing job modify index ${JobModifyIndex}: job exists with conflicting job modify index: ${nomad.job?.JobModifyIndex}`
    return void response.writeHead(500).end(words)
  }
  const job = nomad.put(() => wanted)
  nomad.react(nomad, job)
  if (nomad.losesAnswers) return void response.destroy()
  const answered = { EvalID: `e${job.Version}`, JobModifyIndex: job.JobModifyIndex }
  response.writeHead(200, { 'x-nomad-index': '1' }).end(JSON.stringify(answered))
}
