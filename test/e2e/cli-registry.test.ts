// copy, tags, delete and untag against real registries.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, request as forward, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { component, needs } from '../support/components.ts'
import { execOk } from '../support/exec.ts'
import { longshore } from '../support/longshore.ts'
import { startDistributionV3, startOlareg, type Registry } from '../support/registries.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'

const oras = (args: string[], cwd?: string) => execOk(component('oras'), args, cwd === undefined ? {} : { cwd })

/** One file as an artifact; its digest. */
async function pushFile(reference: string, text: string, args: string[] = []): Promise<string> {
  const folder = tempDir('file')
  writeFileSync(join(folder, 'data.json'), text)
  const pushed = await oras(
    ['push', '--plain-http', '--format', 'json', ...args, reference, 'data.json:application/json'],
    folder,
  )
  return (JSON.parse(pushed.stdout) as { digest: string }).digest
}

async function attach(reference: string, type: string): Promise<string> {
  const folder = tempDir('attached')
  writeFileSync(join(folder, 'note.txt'), `${type} of ${reference}`)
  const args = ['attach', '--plain-http', '--format', 'json', '--artifact-type', type, reference, 'note.txt']
  return (JSON.parse((await oras(args, folder)).stdout) as { digest: string }).digest
}

async function run(args: string[], cwd?: string): Promise<Record<string, unknown>> {
  const result = await longshore([...args, '--json'], {
    env: { DOCKER_CONFIG: tempDir('docker') },
    ...(cwd && { cwd }),
  })
  expect(result.code, result.stderr).toBe(0)
  return JSON.parse(result.stdout) as Record<string, unknown>
}

needs(
  'distribution',
  'olareg',
  'oras',
  'regctl',
  'skopeo',
)('registries and layouts', () => {
  let plain: Registry
  let modern: Registry

  beforeAll(async () => {
    ;[plain, modern] = await Promise.all([
      startDistributionV3({ allowDelete: true }),
      startOlareg({ allowDelete: true }),
    ])
  })

  afterAll(async () => {
    await Promise.all([plain, modern].map((registry) => registry?.stop()))
  })

  describe('copy', () => {
    test('from registry to registry to layout and back keeps the digest', async () => {
      const digest = await pushFile(`${plain.host}/acme/files:1.0.0`, '{"a":1}')
      const layout = join(tempDir('layout'), 'carried')
      const hops = [`${modern.host}/acme/files:1.0.0`, `oci-layout:${layout}:1.0.0`, `${plain.host}/back/files:again`]
      let from = `${plain.host}/acme/files:1.0.0`
      for (const to of hops) {
        expect(await run(['copy', from, to])).toMatchObject({ from, to, digest })
        from = to
      }
      const fetched = await oras(['manifest', 'fetch', '--plain-http', '--descriptor', from])
      expect(JSON.parse(fetched.stdout)).toMatchObject({ digest })
      const inLayout = await oras(['manifest', 'fetch', '--oci-layout', '--descriptor', `${layout}:1.0.0`])
      expect(JSON.parse(inLayout.stdout)).toMatchObject({ digest })
    })

    test('by digest needs no tag, and refuses another digest than it copies', async () => {
      const digest = await pushFile(`${plain.host}/acme/by-digest:1`, '{"by":"digest"}')
      await run(['copy', `${plain.host}/acme/by-digest@${digest}`, `${modern.host}/acme/by-digest@${digest}`])
      const other = `${modern.host}/acme/by-digest@sha256:${'0'.repeat(64)}`
      const refused = await longshore(['copy', `${plain.host}/acme/by-digest:1`, other])
      expect(refused.code).toBe(2)
      expect(refused.stderr).toContain(digest)
    })

    test.each(['layout', 'olareg', 'distribution'])('--recursive takes what refers to it along to %s', async (kind) => {
      const reference = `${plain.host}/acme/signed-for-${kind}:1.0.0`
      const digest = await pushFile(reference, `{"for":"${kind}"}`)
      const signature = await attach(reference, 'application/vnd.acme.signature')
      const sbom = await attach(`${plain.host}/acme/signed-for-${kind}@${signature}`, 'application/vnd.acme.sbom')
      const targets: Record<string, string> = {
        layout: `oci-layout:${join(tempDir('layout'), 'signed')}:1.0.0`,
        olareg: `${modern.host}/acme/signed:1.0.0`,
        distribution: `${plain.host}/other/signed:1.0.0`,
      }
      const target = targets[kind]!
      await run(['copy', reference, target, '--recursive'])
      const where = target.startsWith('oci-layout:') ? ['--oci-layout', target.slice(11)] : ['--plain-http', target]
      const tree = await oras(['discover', '--format', 'json', ...where])
      for (const each of [digest, signature, sbom]) expect(tree.stdout).toContain(each)
    })

    test('without --recursive leaves what refers to it behind', async () => {
      const reference = `${plain.host}/acme/unsigned:1.0.0`
      await pushFile(reference, '{"un":"signed"}')
      const signature = await attach(reference, 'application/vnd.acme.signature')
      await run(['copy', reference, `${modern.host}/acme/unsigned:1.0.0`])
      const tree = await oras(['discover', '--plain-http', '--format', 'json', `${modern.host}/acme/unsigned:1.0.0`])
      expect(tree.stdout).not.toContain(signature)
    })

    test('says which tags a layout has, and ends with 3', async () => {
      const layout = join(tempDir('layout'), 'few')
      await pushFile(`${plain.host}/acme/few:1`, '{"few":1}')
      await run(['copy', `${plain.host}/acme/few:1`, `oci-layout:${layout}:only-one`])
      const missing = await longshore(['copy', `oci-layout:${layout}:other`, `${plain.host}/acme/few:2`])
      expect(missing.code).toBe(3)
      expect(missing.stderr).toContain('only-one')
    })
  })

  describe('tags', () => {
    test('lists all of 250 that come in pages of 100', async () => {
      const names = Array.from({ length: 250 }, (_, index) => `v1.${index}.0`)
      const digest = await pushFile(`${plain.host}/acme/many:v1.0.0`, '{"many":true}')
      const manifest = await fetch(`${plain.url}/v2/acme/many/manifests/${digest}`, {
        headers: { accept: '*/*, application/vnd.oci.image.manifest.v1+json' },
      })
      const [type, bytes] = [manifest.headers.get('content-type') ?? '', await manifest.bytes()]
      for (const name of names) {
        const put = await fetch(`${plain.url}/v2/acme/many/manifests/${name}`, {
          method: 'PUT',
          headers: { 'content-type': type },
          body: bytes,
        })
        expect(put.status).toBe(201)
      }
      const { server, port, pages } = await inPagesOf(100, plain)
      try {
        expect(await run(['tags', `127.0.0.1:${port}/acme/many`])).toEqual({
          repository: `127.0.0.1:${port}/acme/many`,
          tags: names.sort(),
        })
        expect(pages()).toBe(3)
      } finally {
        server.close()
      }
    })

    test('prints one tag per line, of a layout too', async () => {
      const layout = join(tempDir('layout'), 'tags')
      await pushFile(`${plain.host}/acme/lines:b`, '{"b":1}')
      await pushFile(`${plain.host}/acme/lines:a`, '{"a":1}')
      expect((await longshore(['tags', `${plain.host}/acme/lines`])).stdout).toBe('a\nb\n')
      await run(['copy', `${plain.host}/acme/lines:a`, `oci-layout:${layout}:x`])
      expect((await longshore(['tags', `oci-layout:${layout}`])).stdout).toBe('x\n')
    })

    test('--watch prints what comes, moves and goes, and ends well with Ctrl-C', async () => {
      const repository = `${modern.host}/acme/watched`
      const first = await pushFile(`${repository}:stays`, '{"n":1}')
      const watching = spawn(process.execPath, [
        resolve('bin/longshore.js'),
        'tags',
        repository,
        '--watch',
        '--interval',
        '1s',
        '--json',
      ])
      let [stdout, stderr] = ['', '']
      watching.stdout.on('data', (chunk) => (stdout += chunk))
      watching.stderr.on('data', (chunk) => (stderr += chunk))
      const changes = () =>
        stdout
          .trim()
          .split('\n')
          .filter(Boolean)
          .map((line) => JSON.parse(line) as unknown)
      try {
        await waitFor('the watch to begin', () => stderr.includes('watching 1 tag'))
        const second = await pushFile(`${repository}:new`, '{"n":2}')
        await waitFor('the new tag', () => changes().length === 1)
        const third = await pushFile(`${repository}:new`, '{"n":3}')
        await waitFor('the moved tag', () => changes().length === 2)
        await run(['untag', `${repository}:new`])
        await waitFor('the removed tag', () => changes().length === 3)
        expect(changes()).toEqual([
          { change: 'added', tag: 'new', digest: second },
          { change: 'moved', tag: 'new', digest: third, previous: second },
          { change: 'removed', tag: 'new', previous: third },
        ])
        expect(stdout).not.toContain(first)
      } finally {
        watching.kill('SIGINT')
      }
      const [code] = (await once(watching, 'exit')) as [number]
      expect(code).toBe(0)
    })
  })

  describe('delete and untag', () => {
    test('untag removes one tag and leaves the manifest', async () => {
      const repository = `${modern.host}/acme/untagged`
      const digest = await pushFile(`${repository}:a`, '{"untag":1}')
      await run(['copy', `${repository}:a`, `${repository}:b`])
      expect(await run(['untag', `${repository}:a`])).toEqual({ repository, removed: 'a', digest })
      expect(await run(['tags', repository])).toEqual({ repository, tags: ['b'] })
    })

    test('delete removes the manifest with all its tags', async () => {
      const repository = `${plain.host}/acme/deleted`
      const digest = await pushFile(`${repository}:a`, '{"delete":1}')
      await run(['copy', `${repository}:a`, `${repository}:b`])
      expect(await run(['delete', `${repository}:a`])).toEqual({ repository, deleted: digest })
      const gone = await longshore(['copy', `${repository}@${digest}`, `${repository}:c`])
      expect(gone.code).toBe(3)
    })

    test('neither does anything without a tag or a digest', async () => {
      for (const verb of ['delete', 'untag']) {
        const refused = await longshore([verb, `${plain.host}/acme/lines`])
        expect(refused.code).toBe(2)
        expect(refused.stderr).toContain(`longshore tags ${plain.host}/acme/lines`)
      }
    })

    test('a registry that does not let anybody delete is named, with what to do', async () => {
      const locked = await startDistributionV3()
      await pushFile(`${locked.host}/acme/locked:a`, '{"locked":1}')
      const refused = await longshore(['delete', `${locked.host}/acme/locked:a`])
      expect(refused.code).toBe(1)
      expect(refused.stderr).toContain(`cannot delete ${locked.host}/acme/locked@`)
      expect(refused.stderr).toContain('storage.delete.enabled')
      await locked.stop()
    })
  })

  describe('exit statuses', () => {
    test.each([
      [1, 'nobody answers', ['tags', '127.0.0.1:1/acme/files']],
      [2, 'an unknown command', ['cpoy']],
      [2, 'a bad reference', ['tags', 'https://ghcr.io/acme']],
      [2, 'a layout that is none', ['tags', 'oci-layout:/tmp']],
      [3, 'a repository that is not there', ['tags', 'HOST/acme/nothing']],
    ])('%i: %s', async (status, _what, args) => {
      const result = await longshore([...args.map((arg) => arg.replace('HOST', plain.host)), '--json'])
      expect(result.code, result.stderr).toBe(status)
      expect(JSON.parse(result.stdout)).toMatchObject({ error: { message: expect.stringMatching(/./) } })
      expect(result.stderr).toMatch(/^error: /)
    })
  })
})

/** Hands requests on to the registry, and tag lists in pages, as registries with many tags do. */
async function inPagesOf(
  count: number,
  registry: Registry,
): Promise<{ server: Server; port: number; pages: () => number }> {
  let pages = 0
  const server = createServer((incoming, answer) => {
    const url = new URL(incoming.url ?? '/', registry.url)
    if (url.pathname.endsWith('/tags/list')) {
      pages += 1
      if (Number(url.searchParams.get('n')) > count) url.searchParams.set('n', String(count))
    }
    const { host: _host, ...headers } = incoming.headers
    const onward = forward(url, { method: incoming.method ?? 'GET', headers }, (reply) => {
      answer.writeHead(reply.statusCode ?? 500, reply.headers)
      reply.pipe(answer)
    })
    incoming.pipe(onward)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, port: (server.address() as AddressInfo).port, pages: () => pages }
}
