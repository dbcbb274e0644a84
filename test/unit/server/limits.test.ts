// docs/limits.md says what the code does.
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { jsonSchema } from '../../../src/config/schema.ts'
import { formatDuration, formatSize } from '../../../src/lib/units.ts'
import { maxBodyBytes } from '../../../src/server/api/api.ts'
import { maxPreferChars } from '../../../src/server/bundles/prefer.ts'
import { maxChecks, maxHeldFailures } from '../../../src/server/guard/guard.ts'
import { freeFailures } from '../../../src/server/guard/slowdown.ts'
import { maxHeaderLines, maxPipelined } from '../../../src/server/head.ts'
import { maxHeaderBytes } from '../../../src/server/http.ts'
import { lingerMs } from '../../../src/server/listen.ts'
import { downloadWaitMs } from '../../../src/server/slots.ts'
import { drainBytes, drainMs } from '../../../src/server/v2/answer.ts'
import { bodyTimeoutMs, maxBodiesBytes } from '../../../src/server/v2/body.ts'
import { listedAtOnce, listWaitMs } from '../../../src/server/watcher/summary.ts'
import { maxDeliveries, maxWebhookBytes } from '../../../src/server/webhooks/route.ts'
import { maxWaitingMessages } from '../../../src/reconcile/intake.ts'
import { maxParkedMessages } from '../../../src/reconcile/sender.ts'

const text = readFileSync(join(resolve(import.meta.dirname, '../../..'), 'docs/limits.md'), 'utf8')
const rows = text.split('\n').filter((line) => line.startsWith('| '))

interface Key {
  default?: unknown
}

const server = (
  jsonSchema() as { properties: { server: { properties: { limits: { properties: Record<string, Key> } } } } }
).properties.server.properties.limits.properties

function shown(value: unknown): string {
  if (typeof value === 'number') return value.toLocaleString('en-US')
  // 15s, 2GiB, 2m: for people with a space, and minutes as a word.
  return String(value)
    .replace(/(?<=\d)(?=[A-Za-z])/, ' ')
    .replace(/ m$/, ' min')
}

describe('docs/limits.md', () => {
  it.each(Object.keys(server))('has server.limits.%s with its default', (key) => {
    const row = rows.find((line) => line.split('|')[3]!.includes(`\`${key}\``))
    expect(row).toBeDefined()
    const { default: value } = server[key]!
    if (value !== undefined) expect(row!.split('|')[2]).toBe(` ${shown(value)} `)
  })

  it.each<[Record<string, number>, string]>([
    [{ maxPipelined }, '16'],
    [{ lingerMs }, '1 s'],
    [{ maxHeaderBytes }, '16 KiB'],
    [{ maxHeaderLines }, '200'],
    [{ maxBodyBytes }, '64 KiB'],
    [{ listedAtOnce }, '8'],
    [{ listWaitMs }, '5 s'],
    [{ maxPreferChars }, '1,000'],
    [{ downloadWaitMs }, '30 s'],
    [{ bodyTimeoutMs }, '60 s'],
    [{ maxBodiesBytes }, '64 MiB'],
    [{ drainBytes, drainMs }, '64 MiB, 5 s'],
    [{ maxWebhookBytes }, '1 MiB'],
    [{ maxDeliveries }, '64'],
    [{ maxWaitingMessages }, '10,000'],
    [{ maxParkedMessages }, '10,000'],
    [maxChecks, '64, 16, 4'],
    [{ freeFailures }, '3'],
    [{ maxHeldFailures }, '1,000'],
  ])('has %o as it is', (constants, written) => {
    const name = constants === maxChecks ? 'maxChecks' : Object.keys(constants)[0]!
    const row = rows.find((line) => line.includes(`\`${name}\``))
    expect(row?.split('|')[2]?.trim()).toBe(written)
    expect(
      Object.entries(constants)
        .map(([key, value]) => numbered(key, value))
        .join(', '),
    ).toBe(written)
  })
})

function numbered(name: string, value: number): string {
  if (name.endsWith('Bytes')) return formatSize(value)
  if (name.endsWith('Ms')) return value === 60_000 ? '60 s' : formatDuration(value).replace('s', ' s')
  return value.toLocaleString('en-US')
}
