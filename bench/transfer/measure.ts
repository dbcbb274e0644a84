import { spawn } from 'node:child_process'
import { createHash, randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, fsyncSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, request } from 'undici'
import { tempDir } from '../../test/support/temp.ts'

export const mebibyte = 1024 ** 2

export interface Ran {
  seconds: number
  /** The most memory that was resident at one time. */
  peakBytes: number
}

/** A command to its end. Its memory is read while it runs: what the kernel remembers of it is gone with it. */
export async function time(command: string, args: readonly string[], cwd?: string): Promise<Ran> {
  const startedAt = performance.now()
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], ...(cwd !== undefined && { cwd }) })
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  let peakBytes = 0
  const watching = setInterval(() => (peakBytes = Math.max(peakBytes, peakOf(child.pid!))), 50)
  try {
    const [code] = (await once(child, 'close')) as [number | null]
    if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}: ${errors}`)
    return { seconds: (performance.now() - startedAt) / 1000, peakBytes }
  } finally {
    clearInterval(watching)
  }
}

function peakOf(pid: number): number {
  try {
    const found = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return Number(found?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}

/** A file of bytes that do not compress. */
export function writeRandom(path: string, bytes: number): void {
  const file = openSync(path, 'wx')
  const block = Buffer.alloc(mebibyte)
  for (let at = 0; at < bytes; at += block.length) writeSync(file, randomFillSync(block))
  closeSync(file)
}

/** What no transfer of so many bytes can do without, each alone. Seconds. */
export function measureFloor(bytes: number): { hash: number; write: number } {
  const block = randomFillSync(Buffer.alloc(mebibyte))
  let startedAt = performance.now()
  const hash = createHash('sha256')
  for (let at = 0; at < bytes; at += block.length) hash.update(block)
  hash.digest()
  const hashed = (performance.now() - startedAt) / 1000
  const path = join(tempDir('floor'), 'file')
  startedAt = performance.now()
  const file = openSync(path, 'wx')
  for (let at = 0; at < bytes; at += block.length) writeSync(file, block)
  fsyncSync(file)
  closeSync(file)
  const write = (performance.now() - startedAt) / 1000
  rmSync(path)
  return { hash: hashed, write }
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}

/** Asks one URL again and again until it is told to stop: the 99th percentile of the latency, in milliseconds. */
export function probe(url: string): { stop(): Promise<{ p99: number; requests: number }> } {
  const dispatcher = new Agent({ connections: 1 })
  const times: number[] = []
  let stopped = false
  const asking = (async () => {
    while (!stopped) {
      const startedAt = performance.now()
      const { body, statusCode } = await request(url, { dispatcher })
      await body.dump()
      if (statusCode !== 200) throw new Error(`${url} answered ${statusCode}`)
      times.push(performance.now() - startedAt)
      await sleep(2)
    }
  })()
  return {
    async stop() {
      stopped = true
      await asking
      await dispatcher.close()
      const sorted = times.toSorted((a, b) => a - b)
      return { p99: sorted[Math.floor(sorted.length * 0.99)]!, requests: sorted.length }
    },
  }
}

export const seconds = (value: number) => `${value.toFixed(2)} s`
