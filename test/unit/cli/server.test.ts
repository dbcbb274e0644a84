import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { findServer, localUrl, parseServer } from '../../../src/cli/server-address.ts'
import { exitStatusOf } from '../../../src/cli/exit.ts'
import { ServerClient } from '../../../src/cli/server-client.ts'
import { tempDir } from '../../support/temp.ts'
import { createContext } from './fake-context.ts'

describe('findServer', () => {
  function folder(config: object = {}) {
    const cwd = tempDir('cli')
    writeFileSync(join(cwd, 'longshore.yaml'), JSON.stringify({ content: { path: '.' }, ...config }))
    writeFileSync(join(cwd, 'token'), 'the-admin-token-of-this-folder\n')
    return cwd
  }

  it('is where the config listens, with the token of the data folder', async () => {
    const context = createContext({
      cwd: folder({ server: { listen: '0.0.0.0:9000', access: { anonymous: 'read' } } }),
    })
    expect(await findServer(context, {})).toEqual({
      url: 'http://127.0.0.1:9000',
      token: 'the-admin-token-of-this-folder',
      source: 'config',
    })
    expect(context.redactor.redact('the-admin-token-of-this-folder')).toBe('***')
  })

  it('never shows the token of the data folder to a server that somebody named', async () => {
    const cwd = folder()
    expect(await findServer(createContext({ cwd }), { server: 'https://policy.example.com/' })).toEqual({
      url: 'https://policy.example.com',
      source: 'named',
    })
    const env = { LONGSHORE_SERVER: 'http://other:1', LONGSHORE_TOKEN: 'my-own-token' }
    expect(await findServer(createContext({ cwd, env }), {})).toEqual({
      url: 'http://other:1',
      token: 'my-own-token',
      source: 'named',
    })
    expect(await findServer(createContext({ cwd, env }), { server: 'http://third:1' })).toMatchObject({
      url: 'http://third:1',
    })
  })

  it('takes the token of the environment before the one of the folder', async () => {
    const context = createContext({ cwd: folder(), env: { LONGSHORE_TOKEN: 'my-own-token' } })
    expect(await findServer(context, {})).toMatchObject({ token: 'my-own-token', source: 'config' })
  })

  it.each([
    ['127.0.0.1', 'http://127.0.0.1:8085'],
    ['::', 'http://[::1]:8085'],
    ['policy.internal', 'http://policy.internal:8085'],
  ])('reaches a server that listens on %s at %s', (host, url) => {
    expect(localUrl({ listen: { host, port: 8085 }, tls: null })).toBe(url)
  })

  it('speaks TLS where the config does', () => {
    const tls = { cert: 'c', key: 'k', clientCa: null }
    expect(localUrl({ listen: { host: '127.0.0.1', port: 8443 }, tls })).toBe('https://127.0.0.1:8443')
  })

  it.each(['policy.example.com', 'ftp://policy.example.com', 'http://user:secret@host', ''])('refuses %j', (text) => {
    expect(() => parseServer(text)).toThrow(expect.objectContaining({ code: 'usage' }) as Error)
    expect(() => parseServer(text)).not.toThrow(/secret/)
  })
})

describe('ServerClient', () => {
  let server: Server | undefined

  afterEach(() => server?.close())

  async function client(answer: RequestListener) {
    server = createServer(answer).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    return new ServerClient({ url, token: 'my-own-token', source: 'named' }, new AbortController().signal)
  }

  it('asks for bundles and releases, and has bundles looked at, with the token', async () => {
    const asked: unknown[] = []
    const api = await client((request, answer) => {
      asked.push([request.method, request.url, request.headers.authorization, request.headers['content-type']])
      answer.end(JSON.stringify({ bundles: [1], releases: [2], outcome: 'unchanged' }))
    })
    expect(await api.bundles()).toEqual([1])
    expect(await api.releases('teams/a b', 5)).toEqual([2])
    expect(await api.look('authz')).toMatchObject({ outcome: 'unchanged' })
    expect(asked).toEqual([
      ['GET', '/api/v1/bundles', 'Bearer my-own-token', undefined],
      ['GET', '/api/v1/bundles/teams/a%20b/releases?limit=5', 'Bearer my-own-token', undefined],
      ['POST', '/api/v1/bundles/authz/look', 'Bearer my-own-token', 'application/json'],
    ])
    await api.close()
  })

  it.each([
    [401, 'unauthorized'],
    [403, 'denied'],
    [404, 'not_found'],
    [500, 'unavailable'],
  ])('says what a problem document says, with status %i as %s', async (status, code) => {
    const api = await client((_request, answer) => {
      answer.writeHead(status, { 'content-type': 'application/problem+json' })
      answer.end(JSON.stringify({ title: 'No', status, detail: 'no bundle is called authz', code: 'unknown_bundle' }))
    })
    await expect(api.look('authz')).rejects.toMatchObject({
      code,
      status,
      message: expect.stringContaining('no bundle is called authz'),
    })
    await api.close()
  })

  it.each(['no_version', 'no_release', 'no_place', 'gone'])(
    'says that what is asked for is not there: %s',
    async (code) => {
      const api = await client((_request, answer) => {
        answer.writeHead(422, { 'content-type': 'application/problem+json' })
        answer.end(JSON.stringify({ title: 'No', status: 422, detail: 'it has no v9', code }))
      })
      const error = await api.pin('authz', 'v9', '').catch((why: unknown) => why)
      expect(error).toMatchObject({ code: 'not_found', message: expect.stringContaining('it has no v9') })
      expect(exitStatusOf(error)).toBe(3)
      await api.close()
    },
  )

  it('says that what answers is no longshore', async () => {
    const api = await client((_request, answer) => answer.end('<html>nginx</html>'))
    await expect(api.bundles()).rejects.toMatchObject({
      code: 'protocol',
      message: expect.stringContaining('no longshore'),
    })
    await api.close()
  })

  it('says that nobody answers, and how to start one', async () => {
    const api = new ServerClient({ url: 'http://127.0.0.1:1', source: 'config' }, new AbortController().signal)
    await expect(api.bundles()).rejects.toMatchObject({
      code: 'network',
      hint: expect.stringContaining('longshore serve'),
    })
    await api.close()
  })
})
