import { mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseLayoutReference } from '../../../src/cli/layout-reference.ts'
import { readRegistries, withReferences } from '../../../src/cli/open-reference.ts'
import { tempDir } from '../../support/temp.ts'
import { createContext } from './fake-context.ts'

const digest = `sha256:${'0'.repeat(64)}`

describe('parseLayoutReference', () => {
  it.each([
    ['oci-layout:./dir', { folder: './dir' }],
    ['oci-layout:/srv/layout:1.0.0', { folder: '/srv/layout', tag: '1.0.0' }],
    [`oci-layout:dir@${digest}`, { folder: 'dir', digest }],
    ['oci-layout:/with:colon/dir', { folder: '/with:colon/dir' }],
    ['oci-layout:/with:colon/dir:tag', { folder: '/with:colon/dir', tag: 'tag' }],
    ['oci-layout:dir@home', { folder: 'dir@home' }],
    ['oci-layout:a:b:c', { folder: 'a:b', tag: 'c' }],
  ])('%s', (text, parts) => {
    expect(parseLayoutReference(text)).toEqual(parts)
  })

  it.each([
    'oci-layout:',
    'oci-layout::tag',
    'oci-layout:dir:',
    'oci-layout:dir:not a tag',
    'oci-layout:dir@sha256:abc',
  ])('refuses %s', (text) => {
    expect(() => parseLayoutReference(text)).toThrow(expect.objectContaining({ code: 'bad_reference' }) as Error)
  })
})

describe('withReferences', () => {
  const opened = (text: string) =>
    withReferences(createContext({ cwd: tempDir('cli') }), {}, async (open) => {
      const { target, ...rest } = await open(text, { create: true })
      return { ...rest, name: target.name }
    })

  it('takes latest where nothing is written, and knows that nothing was', async () => {
    expect(await opened('localhost:5000/acme/policies')).toEqual({
      reference: 'latest',
      tag: 'latest',
      explicit: false,
      host: 'localhost:5000',
      text: 'localhost:5000/acme/policies',
      full: 'localhost:5000/acme/policies:latest',
      name: 'localhost:5000/acme/policies',
    })
    expect(await opened('localhost:5000/acme/policies:latest')).toMatchObject({ explicit: true })
  })

  it('asks for the digest where both are written, and has no tag where only a digest is', async () => {
    expect(await opened(`ghcr.io/acme/policies:1@${digest}`)).toMatchObject({
      reference: digest,
      tag: '1',
      explicit: true,
    })
    const only = await opened(`ghcr.io/acme/policies@${digest}`)
    expect(only).toMatchObject({ reference: digest, explicit: true })
    expect(only).not.toHaveProperty('tag')
  })

  it('opens a layout of the working folder', async () => {
    expect(await opened('oci-layout:carried')).toMatchObject({
      tag: 'latest',
      explicit: false,
      full: 'oci-layout:carried:latest',
    })
    expect(await opened('oci-layout:carried:1')).toMatchObject({ tag: '1', explicit: true })
  })
})

describe('the registries of the config', () => {
  it('hold for commands, and --plain-http goes before them', async () => {
    const cwd = mkdtempSync(join(tempDir('config'), 'x'))
    const config = { registries: { 'ghcr.io/acme': { username: 'ci', password: 'secret-word', plain_http: false } } }
    writeFileSync(join(cwd, 'longshore.yaml'), JSON.stringify(config))
    const context = createContext({ cwd })
    expect(await readRegistries(context, {})).toMatchObject({
      'ghcr.io/acme': { username: 'ci', password: 'secret-word', plainHttp: false },
    })
    expect(context.redactor.redact('secret-word')).toBe('***')
    expect(await readRegistries(context, { plainHttp: true })).toMatchObject({
      'ghcr.io/acme': { username: 'ci', plainHttp: true },
      '*': { plainHttp: true },
    })
  })
})
