// Attacks by many clients, and whether the others are served meanwhile.
import { fork, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Longshore } from '../support/longshore.ts'
import { waitFor } from '../support/wait.ts'

/** Thousands of clients take their time where there is little of it. */
const patienceMs = 120_000

export interface OpenCommand {
  do: 'open'
  group: string
  count: number
  port: number
  /** An address of this machine: 127.0.0.2 is another client than 127.0.0.1. */
  from: string
  /** Written as soon as there is a connection; latin1. */
  send: string
  /** Nothing is read. */
  paused?: boolean
}

export type CrowdCommand =
  | OpenCommand
  | { do: 'send'; group: string; send: string }
  | { do: 'drip'; group: string; send: string; everyMs: number }
  | { do: 'resume' | 'reset' | 'close' | 'stats'; group: string }

export interface CrowdStats {
  opened: number
  failed: number
  open: number
  answers: number
  statuses: Record<string, number>
  /** How often a body with this digest came in full. */
  bodies: Record<string, number>
  /** Answers that carried the header. */
  retryAfter: number
}

export interface Crowd {
  /** Settles when each connection is there, or was refused. */
  open(group: string, count: number, send: string, options?: { from?: string; paused?: boolean }): Promise<void>
  send(group: string, send: string): Promise<void>
  drip(group: string, send: string, everyMs: number): Promise<void>
  resume(group: string): Promise<void>
  /** As a client does that crashes: with RST, not FIN. */
  reset(group: string): Promise<void>
  close(group: string): Promise<void>
  stats(group: string): Promise<CrowdStats>
  /** Asks again until the numbers are so. */
  until(group: string, what: string, holds: (stats: CrowdStats) => boolean, timeoutMs?: number): Promise<CrowdStats>
  stop(): void
}

export function startCrowd(port: number): Crowd {
  const child: ChildProcess = fork(join(import.meta.dirname, 'faults-crowd-process.ts'), { execArgv: [] })
  const waiting = new Map<number, (result: unknown) => void>()
  let ids = 0
  child.on('message', ({ id, result }: { id: number; result: unknown }) => {
    waiting.get(id)?.(result)
    waiting.delete(id)
  })
  const tell = <T>(command: CrowdCommand) =>
    new Promise<T>((resolve) => {
      const id = ++ids
      waiting.set(id, resolve as (result: unknown) => void)
      child.send({ id, command })
    })
  const stats = (group: string) => tell<CrowdStats>({ do: 'stats', group })
  return {
    open: (group, count, send, { from = '127.0.0.1', paused = false } = {}) =>
      tell({ do: 'open', group, count, port, from, send, paused }),
    send: (group, send) => tell({ do: 'send', group, send }),
    drip: (group, send, everyMs) => tell({ do: 'drip', group, send, everyMs }),
    resume: (group) => tell({ do: 'resume', group }),
    reset: (group) => tell({ do: 'reset', group }),
    close: (group) => tell({ do: 'close', group }),
    stats,
    async until(group, what, holds, timeoutMs = patienceMs) {
      let last: CrowdStats | undefined
      const ask = async () => holds((last = await stats(group))) && last
      try {
        return await waitFor(what, ask, { timeoutMs, intervalMs: 100 })
      } catch (error) {
        throw new Error(`${(error as Error).message}: ${JSON.stringify(last)}`, { cause: error })
      }
    },
    stop: () => void child.kill('SIGKILL'),
  }
}

export function get(path: string, headers: Record<string, string> = {}): string {
  const lines = Object.entries({ Host: 'localhost', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
  return `GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`
}

export interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: Buffer
}

/** One request on a connection of its own, from an address of this machine. */
export function askFrom(
  from: string,
  url: string,
  {
    method = 'GET',
    headers = {},
    body,
  }: { method?: string; headers?: Record<string, string>; body?: string | Buffer } = {},
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const options = { method, headers, agent: false, localAddress: from, timeout: patienceMs }
  const asking = request(url, options, (response) => {
    const chunks: Buffer[] = []
    response.on('data', (chunk: Buffer) => chunks.push(chunk))
    response.on('error', reject)
    response.on('end', () =>
      resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks) }),
    )
  })
  asking.on('timeout', () => asking.destroy(new Error(`${method} ${url} from ${from}: no answer for ${patienceMs} ms`)))
  asking.on('error', reject)
  asking.end(body)
  return promise
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

/**
 * Asks for these paths over and over, from another address, until the attack is over: each answer has to be 200 with the
 * bytes that are served there before. Returns what the attack does.
 */
export async function whileServed<T>(
  server: Longshore,
  paths: readonly string[],
  attack: () => Promise<T>,
): Promise<T> {
  const ask = async (path: string) => askFrom('127.0.0.2', `${server.url}${path}`)
  const before = new Map<string, string>()
  for (const path of paths) before.set(path, digestOf((await ask(path)).body))
  let over = false
  let rounds = 0
  const probing = (async () => {
    // At least once in full, however short the attack is.
    do {
      for (const path of paths) {
        const { status, body } = await ask(path)
        expect({ path, status, digest: digestOf(body) }).toEqual({ path, status: 200, digest: before.get(path) })
      }
      rounds++
      // The cores are the attackers' and the server's too.
      await sleep(50)
    } while (!over)
  })()
  try {
    return await Promise.race([attack(), probing.then(() => new Promise<never>(() => undefined))])
  } finally {
    over = true
    await probing
    expect(rounds).toBeGreaterThan(0)
  }
}

export function memoryOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024
}

export function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

/** What a server holds when nobody asks anything of it; later it has to come back to that. */
export function restOf({ process: { pid } }: Longshore) {
  const descriptors = descriptorsOf(pid)
  const bytes = memoryOf(pid)
  return {
    /** How much more it holds now. */
    grownBytes: () => memoryOf(pid) - bytes,
    /** A few descriptors come and go: threads, the database, a file that is being read. */
    until: (timeoutMs = patienceMs) =>
      waitFor(`descriptors to be about ${descriptors} again`, () => descriptorsOf(pid) <= descriptors + 20, {
        timeoutMs,
        intervalMs: 100,
      }),
  }
}
