import { Agent, request } from 'undici'
import { refusalOf } from '../../clients/http/refusal.ts'
import { reasonOf, secure } from '../../clients/http/secure.ts'
import { collect } from '../../lib/collect.ts'
import { LongshoreError, RemoteError } from '../../lib/errors.ts'
import { parseJsonText } from '../../lib/json.ts'
import type { Redactor } from '../../lib/redact.ts'
import type { NomadDeployerConfig } from './schema.ts'
import type { Allocation, Evaluation, Indexed, Job, NomadDeployment } from './types.ts'

/** Nomad answers at once but where it is asked to wait. */
const answerMs = 30_000
/** How long Nomad holds a question that waits for a change. */
const waitMs = 60_000
/** Nomad adds up to a sixteenth. */
const waitGraceMs = 15_000
const maxAnswerBytes = 16 * 1024 ** 2

/** One job, over connections of its own. Everything throws RemoteError. */
export interface NomadApi {
  job(): Promise<Job | undefined>
  /** Newest first. */
  versions(): Promise<Job[]>
  evaluations(): Promise<Indexed<Evaluation[]>>
  deployments(): Promise<Indexed<NomadDeployment[]>>
  allocations(): Promise<Indexed<Allocation[]>>
  /** Returns when `what` changed since `index`, or after a while. */
  change(what: Listed, index: string): Promise<void>
  /** In the place of the job that has this index; returns the index that it has now. */
  register(job: Job, jobModifyIndex: number): Promise<number>
}

export type Listed = 'evaluations' | 'deployments' | 'allocations'

/** Hands `use` what speaks of the job, until it is done. */
export async function withNomad<T>(
  config: NomadDeployerConfig,
  { redactor, signal }: { redactor: Pick<Redactor, 'redact'>; signal: AbortSignal },
  use: (api: NomadApi) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted()
  const { serverName: servername } = config
  const connect = { ...(await secure(config)), ...(servername !== undefined && { servername }) }
  const agent = new Agent({ connect, allowH2: false, headersTimeout: 0, bodyTimeout: 0 })
  try {
    return await use(apiOf(config, { agent, redactor, signal }))
  } finally {
    await agent.destroy()
  }
}

interface Parts {
  agent: Agent
  redactor: Pick<Redactor, 'redact'>
  signal: AbortSignal
}

interface Question {
  query?: Record<string, string>
  body?: string
  timeoutMs?: number
}

function apiOf(config: NomadDeployerConfig, parts: Parts): NomadApi {
  const { host } = new URL(config.address)
  const ask = (path: string, question: Question = {}) => exchange(config, { ...parts, host }, path, question)
  const ofJob = `/v1/job/${encodeURIComponent(config.job)}`
  const list = async <T>(what: Listed) => {
    const { value, index } = (await ask(`${ofJob}/${what}`)) ?? { value: null, index: '0' }
    return { value: (value ?? []) as T[], index }
  }
  return {
    job: async () => (await ask(ofJob))?.value as Job | undefined,
    versions: async () => ((await ask(`${ofJob}/versions`))?.value as { Versions: Job[] } | undefined)?.Versions ?? [],
    evaluations: () => list('evaluations'),
    deployments: () => list('deployments'),
    allocations: () => list('allocations'),
    async change(what, index) {
      // Without an index it would be answered at once, and asked again.
      const query = { index: index === '0' ? '1' : index, wait: `${waitMs / 1000}s` }
      await ask(`${ofJob}/${what}`, { query, timeoutMs: waitMs + waitGraceMs })
    },
    async register(job, jobModifyIndex) {
      const vaultToken = await config.vaultToken?.read()
      const whole = vaultToken === undefined ? job : { ...job, VaultToken: vaultToken }
      const body = JSON.stringify({ Job: whole, EnforceIndex: true, JobModifyIndex: jobModifyIndex })
      const answer = await ask('/v1/jobs', { body })
      return (answer!.value as { JobModifyIndex: number }).JobModifyIndex
    },
  }
}

/** Undefined where there is no such thing. */
async function exchange(
  config: NomadDeployerConfig,
  { host, agent, redactor, signal }: Parts & { host: string },
  path: string,
  { query = {}, body, timeoutMs = answerMs }: Question,
): Promise<Indexed<unknown> | undefined> {
  signal.throwIfAborted()
  const late = AbortSignal.timeout(timeoutMs)
  try {
    const answer = await request(urlOf(config, path, query), {
      ...{ method: body === undefined ? 'GET' : 'POST', dispatcher: agent, headers: await headersOf(config, body) },
      signal: AbortSignal.any([signal, late]),
      ...(body !== undefined && { body }),
    })
    if (answer.statusCode === 404 && body === undefined) {
      await answer.body.dump({ limit: maxAnswerBytes })
      return undefined
    }
    if (answer.statusCode !== 200) throw await refusalOf(`Nomad at ${host}`, answer, redactor)
    return { value: readJson(await textOf(answer.body, host)), index: one(answer.headers['x-nomad-index']) ?? '0' }
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof LongshoreError) throw error
    const why = late.aborted ? 'does not answer' : `cannot be reached: ${redactor.redact(whyOf(error, config))}`
    throw new RemoteError(late.aborted ? 'timeout' : 'network', `Nomad at ${host} ${why}`, { host, retryable: true })
  }
}

/** With TLS 1.3 whoever shows no certificate that is asked for learns it by a connection that closes, or by an alert, as it happens. */
function whyOf(error: unknown, { address, cert }: NomadDeployerConfig): string {
  const isClosed = ['UND_ERR_SOCKET', 'ECONNRESET'].includes((error as NodeJS.ErrnoException).code ?? '')
  const mayWant = isClosed && address.startsWith('https:') && cert === undefined
  return `${reasonOf(error)}${mayWant ? ' (it may want to see a certificate of ours: cert and key)' : ''}`
}

function urlOf({ address, namespace, region }: NomadDeployerConfig, path: string, query: Record<string, string>): URL {
  const url = new URL(`${address.replace(/\/+$/, '')}${path}`)
  const all = Object.entries({ ...query, namespace, region })
  for (const [name, value] of all) if (value !== undefined) url.searchParams.set(name, value)
  return url
}

async function headersOf({ token }: NomadDeployerConfig, body: string | undefined): Promise<Record<string, string>> {
  return {
    'user-agent': 'longshore',
    ...(body !== undefined && { 'content-type': 'application/json' }),
    ...(token !== undefined && { 'x-nomad-token': await token.read() }),
  }
}

function one(header: string | string[] | undefined): string | undefined {
  return [header].flat()[0]
}

async function textOf(body: AsyncIterable<Uint8Array>, host: string): Promise<string> {
  const tooMuch = () => new RemoteError('protocol', `Nomad at ${host} answers with more than 16 MiB`, { host })
  return (await collect(body, maxAnswerBytes, tooMuch)).toString('utf8')
}

/** What goes back must be what came: numbers that are too large for JavaScript stay as they are written. */
function readJson(text: string): unknown {
  return parseJsonText(text, (_key, value, { source }) =>
    typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value) ? rawJson(source!) : value,
  )
}

/** https://tc39.es/proposal-json-parse-with-source/ */
const { rawJSON: rawJson } = JSON as unknown as { rawJSON: (text: string) => unknown }
