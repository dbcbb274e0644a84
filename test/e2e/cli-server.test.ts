// status, releases, look and verify-content with a running server, and with one that is stopped.
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createCertificates } from '../support/certs.ts'
import { needs } from '../support/components.ts'
import { longshore, startLongshore, type Longshore } from '../support/longshore.ts'
import { freePort } from '../support/ports.ts'
import { startDistributionV3, type Registry } from '../support/registries.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'

function policy(version: string, text = `package authz\n\nversion := "${version}"\n`): string {
  const folder = tempDir('policy')
  writeFileSync(join(folder, '.manifest'), JSON.stringify({ revision: version, roots: ['authz'] }))
  writeFileSync(join(folder, 'policy.rego'), text)
  return folder
}

needs('distribution')('a server', () => {
  let upstream: Registry
  let server: Longshore

  beforeAll(async () => {
    upstream = await startDistributionV3()
    await longshore(['push', policy('one'), `${upstream.host}/acme/policies:stable`])
    server = await startLongshore({
      config: {
        bundles: {
          'teams/authz': { store: { type: 'local', repository: 'policies/authz' } },
          mirrored: {
            store: { type: 'oci', repository: `${upstream.host}/acme/policies` },
            follow: 'stable',
            schedule: 'off',
          },
          nowhere: { store: { type: 'oci', repository: '127.0.0.1:1/acme/policies' }, schedule: 'off' },
        },
      },
    })
    await longshore(['push', policy('first'), `${server.host}/policies/authz:latest`])
    await waitFor(
      'the first release',
      async () => (await ask(['releases', 'teams/authz'])).document.releases.length === 1,
    )
  })

  afterAll(async () => {
    await server?.stop()
    await upstream?.stop()
  })

  async function ask(args: string[]) {
    const result = await longshore([...args, '--server', server.url, '--json'])
    return {
      ...result,
      document: JSON.parse(result.stdout) as { bundles: unknown[]; releases: unknown[]; error: { code: string } },
    }
  }

  test('status has a line per bundle and says why one is not well', async () => {
    const shown = await longshore(['status', '--server', server.url])
    expect(shown.code, shown.stderr).toBe(0)
    expect(shown.stdout).toMatch(/^NAME +VERSION +AGE +HEALTH +NEXT LOOK +PLACES\n/)
    expect(shown.stdout).toMatch(/^teams\/authz +latest +\d+\w +ok +/m)
    expect(shown.stdout).toMatch(/^nowhere +- +- +empty +/m)
    expect(shown.stdout).toMatch(/^nowhere: .*127\.0\.0\.1:1/m)
    const { document } = await ask(['status'])
    expect(document.bundles).toHaveLength(3)
    expect(document.bundles).toContainEqual(expect.objectContaining({ name: 'teams/authz', health: 'ok' }))
  })

  test('look fetches what moved and says so; then there is nothing new', async () => {
    await longshore(['push', policy('two'), `${upstream.host}/acme/policies:stable`])
    const moved = await longshore(['look', 'mirrored', '--server', server.url])
    expect(moved.code, moved.stderr).toBe(0)
    expect(moved.stdout).toMatch(/^mirrored: released stable \(/)
    expect((await longshore(['look', 'mirrored', '--server', server.url])).stdout).toMatch(/^mirrored: nothing new/)
    const { document } = await ask(['releases', 'mirrored'])
    expect(document.releases).toMatchObject([
      { number: 2, revision: 'two' },
      { number: 1, revision: 'one' },
    ])
    expect((await ask(['releases', 'mirrored', '--limit', '1'])).document.releases).toHaveLength(1)
  })

  test('look ends with 1 where nobody answers, and with 3 for a name that is not configured', async () => {
    const failed = await ask(['look', 'nowhere'])
    expect(failed.code).toBe(1)
    expect(failed.document).toMatchObject({ outcome: 'failed' })
    expect(failed.stderr).toContain('127.0.0.1:1')
    const unknown = await ask(['look', 'nobody'])
    expect(unknown.code).toBe(3)
    expect(unknown.document.error.code).toBe('not_found')
  })

  test('the local one is found through the config', async () => {
    const found = await longshore(['status', '-c', server.configFile, '--json'])
    expect(found.code, found.stderr).toBe(0)
    const none = await longshore(['status', '--json'], {
      cwd: tempDir('empty'),
      env: { LONGSHORE_SERVER: 'http://127.0.0.1:1' },
    })
    expect(none.code).toBe(1)
    expect(JSON.parse(none.stdout)).toMatchObject({ error: { code: 'network' } })
  })

  test('with access, the admin token of the data folder is used at the local one, and no other', async () => {
    const guarded = await startLongshore({ config: { server: { access: { tokens: {} } } } })
    expect((await longshore(['status', '-c', guarded.configFile])).code).toBe(0)
    expect((await longshore(['status', '--server', guarded.url])).code).toBe(3)
    const token = readFileSync(join(guarded.folder, 'data', 'token'), 'utf8').trim()
    expect((await longshore(['status', '--server', guarded.url], { env: { LONGSHORE_TOKEN: token } })).code).toBe(0)
    const wrong = await longshore(['status', '--server', guarded.url], {
      env: { LONGSHORE_TOKEN: 'wrong-token-of-mine' },
    })
    expect(wrong.code).toBe(3)
    expect(wrong.stderr).not.toContain('wrong-token-of-mine')
    await guarded.stop()
  })

  test('that speaks no TLS is not asked with it', async () => {
    const asked = await longshore(['status', '--server', `https://${server.host}`])
    expect(asked.code).toBe(1)
    expect(asked.stderr).toContain(
      `nothing answers at https://${server.host} (it does not speak TLS: name it with http://)`,
    )
  })

  describe('verify-content', () => {
    test('has the running server verify', async () => {
      const verified = await longshore(['verify-content', '-c', server.configFile])
      expect(verified, verified.stderr).toMatchObject({ code: 0, stderr: '' })
      expect(verified.stdout).toMatch(/^\d+ blobs, [\d.]+ \w+, all as they should be\n$/)
      await server.logged({ audit: true, action: 'verify-content', found: 0 })
    })

    test('asks the server where its folder cannot be used from here', async () => {
      const file = join(tempDir('elsewhere'), 'longshore.yaml')
      const write = (listen: string) =>
        writeFileSync(file, JSON.stringify({ server: { listen }, content: { path: './not-here' } }))
      write(server.host)
      const asked = await longshore(['verify-content', '-c', file])
      expect(asked, asked.stderr).toMatchObject({ code: 0, stderr: '' })
      write(`127.0.0.1:${await freePort()}`)
      const none = await longshore(['verify-content', '-c', file])
      expect(none.code).toBe(2)
      expect(none.stderr).toMatch(/^error: there is no data folder .*not-here\n/)
    })

    test('finds all well, then a flipped bit, then a lost blob', async () => {
      const other = await startLongshore()
      await longshore(['push', policy('kept'), `${other.host}/policies/kept:1`])
      await other.stop()
      const verify = () => longshore(['verify-content', '-c', other.configFile, '--json'])
      const well = await verify()
      expect(well.code, well.stderr).toBe(0)
      expect(JSON.parse(well.stdout)).toMatchObject({ findings: [] })
      expect((JSON.parse(well.stdout) as { blobs: number }).blobs).toBeGreaterThanOrEqual(3)

      const blobs = join(other.folder, 'data', 'blobs', 'sha256')
      const victim = readdirSync(blobs).find((name) => readFileSync(join(blobs, name)).length > 100)!
      const bytes = readFileSync(join(blobs, victim))
      bytes[50]! ^= 1
      writeFileSync(join(blobs, victim), bytes)
      const damaged = await verify()
      expect(damaged.code).toBe(4)
      expect(JSON.parse(damaged.stdout)).toMatchObject({ findings: [{ digest: `sha256:${victim}`, kind: 'damaged' }] })
      expect(damaged.stderr).toContain('damaged or missing')

      // It was taken away.
      expect(readdirSync(blobs)).not.toContain(victim)
      const lost = await verify()
      expect(lost.code).toBe(4)
      expect(JSON.parse(lost.stdout)).toMatchObject({ findings: [{ digest: `sha256:${victim}`, kind: 'missing' }] })
    })

    test('makes no folder where there is none', async () => {
      const folder = tempDir('empty')
      const none = await longshore(['verify-content'], { cwd: folder, env: { LONGSHORE_CONFIG: undefined } })
      expect(none.code).toBe(2)
      expect(readdirSync(folder)).toEqual([])
    })
  })
})

describe('a local server with TLS', () => {
  test('is trusted by the certificate that the config names, and no other is', async () => {
    const [own, other] = [await createCertificates(tempDir('own')), await createCertificates(tempDir('other'))]
    const { cert, key } = own.server
    const listening = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (_request, answer) => {
      answer.end(JSON.stringify({ bundles: [] }))
    }).listen(0, '127.0.0.1')
    await once(listening, 'listening')
    const { port } = listening.address() as AddressInfo
    const status = (tls: object) => {
      const file = join(tempDir('config'), 'longshore.yaml')
      writeFileSync(file, JSON.stringify({ server: { listen: `127.0.0.1:${port}`, tls } }))
      return longshore(['status', '-c', file])
    }
    const trusted = await status({ cert, key })
    expect(trusted.code, trusted.stderr).toBe(0)
    expect(trusted.stdout).toBe('no bundles are configured\n')
    expect((await status({ cert: other.server.cert, key: other.server.key })).code).toBe(1)
    listening.close()
  })
})

describe('config', () => {
  function write(config: unknown): string {
    const file = join(tempDir('config'), 'longshore.yaml')
    writeFileSync(file, typeof config === 'string' ? config : JSON.stringify(config))
    return file
  }

  test('check says that a config is fine', async () => {
    const file = write({ bundles: { authz: { store: { type: 'local', repository: 'policies/authz' } } } })
    const fine = await longshore(['config', 'check', file, '--json'])
    expect(fine.code, fine.stderr).toBe(0)
    expect(JSON.parse(fine.stdout)).toEqual({ file, ok: true, bundles: ['authz'], deployers: [], idle: [] })
  })

  test('check says what is configured and named by no bundle', async () => {
    const file = write({
      bundles: { authz: { store: { type: 'local', repository: 'policies/authz' }, deploy: [{ to: 'zones' }] } },
      deployers: { zones: { type: 'directory', root: '/srv/zones' }, spare: { type: 'directory', root: '/srv/spare' } },
      publishers: { events: { type: 'http', url: 'https://events.example.com' } },
    })
    const fine = await longshore(['config', 'check', file])
    expect(fine.code, fine.stderr).toBe(0)
    expect(fine.stdout).toBe(
      `${file}: fine (1 bundle, 2 deployers)\ndeployers.spare is named by no bundle\npublishers.events is named by no bundle\n`,
    )
  })

  test('check says all that is wrong, at its line, and ends with 2', async () => {
    const file = write('server:\n  lisen: 127.0.0.1:1\nbundles:\n  authz:\n    store: nobody\n')
    const wrong = await longshore(['config', 'check', file, '--json'])
    expect(wrong.code).toBe(2)
    const { error } = JSON.parse(wrong.stdout) as { error: { problems: { line: number }[] } }
    expect(error.problems.map(({ line }) => line)).toEqual([2, 5])
    expect(wrong.stderr).toContain(`${file}:2: `)
    expect(wrong.stderr).toContain('listen')
  })

  test('schema is one JSON document, with --json and without', async () => {
    const [plain, json] = [await longshore(['config', 'schema']), await longshore(['config', 'schema', '--json'])]
    expect(JSON.parse(plain.stdout)).toMatchObject({ properties: { bundles: expect.anything() } })
    expect(JSON.parse(json.stdout)).toEqual(JSON.parse(plain.stdout))
  })
})
