import { existsSync, realpathSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { Redactor } from '../../src/lib/redact.ts'
import { createOciClient, type OciClient } from '../../src/oci/client.ts'
import type { Sink } from '../../src/oci/target.ts'
import { needs } from '../support/components.ts'
import { startCoredns, type Coredns } from '../support/coredns.ts'
import { startLongshore, type Longshore } from '../support/longshore.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'
import { pushFiles, serialOf, zone } from '../support/zones.ts'

const blocks = ['auto, files', 'auto, swap', 'file, files', 'file, swap']

needs('coredns')('zones that CoreDNS serves from a directory', () => {
  const root = tempDir('zones')
  const places = { files: join(root, 'files'), swap: join(root, 'swap/internal') }
  const bundle = { store: { type: 'local', repository: 'zones' }, kind: 'files', follow: 'stable' }
  const config = {
    bundles: { zones: { ...bundle, deploy: [{ to: 'files' }, { to: 'swap', path: 'internal' }] } },
    deployers: {
      files: { type: 'directory', root: places.files },
      swap: { type: 'directory', root: join(root, 'swap'), mode: 'swap' },
    },
  }
  let server: Longshore
  let dns: Coredns
  let client: OciClient
  let registry: Sink

  beforeAll(async () => {
    server = await startLongshore({ config })
    client = createOciClient({
      ...{ clock: systemClock, random: Math.random, logger: silentLogger, redactor: new Redactor() },
    })
    registry = client.repository(`${server.host}/zones`)
    await release(1)
    const auto = (path: string) => ['auto {', `  directory ${path}`, '  reload 100ms', '}']
    const file = (path: string) => [`file ${path}/db.example.org example.org {`, '  reload 100ms', '}']
    dns = await startCoredns({
      'auto, files': auto(places.files),
      'auto, swap': auto(places.swap),
      'file, files': file(places.files),
      'file, swap': file(places.swap),
    })
  })

  afterAll(async () => {
    await dns?.stop()
    await client?.close()
    await server?.stop()
  })

  /** Pushes zones of this serial, and waits until they are at both places. */
  async function release(serial: number, more: Record<string, string> = {}): Promise<void> {
    const names = ['example.org', 'example.net']
    const files = Object.fromEntries(names.map((name) => [`db.${name}`, zone(name, serial)]))
    await pushFiles(registry, { ...files, ...more }, 'stable')
    await waitFor(
      `release ${serial} at both places`,
      async () => {
        const found = await Promise.all(
          Object.values(places).map((path) => readFile(join(path, 'db.example.org'), 'utf8')),
        )
        return found.every((text) => serialOf(text) === serial)
      },
      { intervalMs: 5 },
    )
  }

  async function answers(block: string, name: string, expected: string): Promise<void> {
    await waitFor(`${block} to answer ${name} by ${expected}`, async () => (await dns.text(block, name)) === expected)
  }

  it.each(blocks)('answers by the new zone after a push: %s', async (block) => {
    const before = Number(await dns.text(block, 'version.example.org'))
    await release(before + 1)
    await answers(block, 'version.example.org', String(before + 1))
    await answers(block, 'end.example.org', String(before + 1))
  })

  it.each(blocks.slice(0, 2))('takes up a zone that comes, and drops one that goes: %s', async (block) => {
    const serial = Number(await dns.text(block, 'version.example.org')) + 1
    // The one before waited for its own block only.
    await answers(block, 'version.example.com', 'EREFUSED')
    await release(serial, { 'db.example.com': zone('example.com', serial) })
    await answers(block, 'version.example.com', String(serial))
    await release(serial + 1)
    await answers(block, 'version.example.com', 'EREFUSED')
    expect(await dns.text(block, 'version.example.net')).toMatch(/^\d+$/)
  })

  it('shows no reader half a file, nor half a release where that is swapped, while 100 go by', async () => {
    const first = Number(await dns.text('auto, files', 'version.example.org')) + 1
    const bad: string[] = []
    const seen = new Set<number>()
    let isOver = false
    const readers = [
      whileNot(
        () => isOver,
        async () => {
          const serial = serialOf(await readFile(join(places.files, 'db.example.org'), 'utf8'))
          if (serial === undefined) bad.push('half a file')
          else seen.add(serial)
        },
      ),
      whileNot(
        () => isOver,
        async () => {
          // As a program does that opens the folder once and reads what is in it.
          const folder = realpathSync(places.swap)
          const texts = await Promise.all(
            ['org', 'net'].map((end) => readFile(join(folder, `db.example.${end}`), 'utf8')),
          )
          const serials = new Set(texts.map(serialOf))
          if (serials.size !== 1 || serials.has(undefined)) bad.push(`a folder with ${[...serials].join()}`)
        },
      ),
      ...blocks.map((block) =>
        whileNot(
          () => isOver,
          async () => {
            const answer = await dns.text(block, 'version.example.org')
            if (!/^\d+$/.test(answer)) bad.push(`${block} answered ${answer}`)
          },
        ),
      ),
    ]
    for (let serial = first; serial < first + 100; serial += 1) {
      await release(serial)
      await waitFor(`${serial} to be read`, () => seen.has(serial) || bad.length > 0, { intervalMs: 1 })
    }
    isOver = true
    await Promise.all(readers)
    expect(bad).toEqual([])
    for (const block of blocks) await answers(block, 'version.example.org', String(first + 99))
    expect(dns.process.output()).not.toMatch(/Parsing zone|Parse zone/)
  })

  it('puts right after a start what somebody else removed', async () => {
    await server.stop()
    rmSync(join(places.files, 'db.example.org'))
    rmSync(places.swap)
    server = await startLongshore({ config, folder: server.folder, port: server.port })
    await waitFor('both to be there', () =>
      Object.values(places).every((path) => existsSync(join(path, 'db.example.org'))),
    )
  })
})

async function whileNot(isOver: () => boolean, run: () => Promise<void>): Promise<void> {
  while (!isOver()) {
    await run()
    await sleep(2)
  }
}
