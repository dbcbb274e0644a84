import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { createLogger } from '../../../src/lib/logger.ts'
import { Redactor } from '../../../src/lib/redact.ts'

describe('Redactor', () => {
  it.each([
    ['a secret it was told of', 'password is hunter22 ok', 'password is *** ok'],
    ['the same in base64', `auth ${Buffer.from('hunter22').toString('base64')} ok`, 'auth *** ok'],
    ['the same in a query', 'https://host/?x=hunter%20two', 'https://host/?x=***'],
    ['a bearer token', 'authorization: Bearer abcdefghijkl', 'authorization: Bearer ***'],
    ['credentials in a URL', 'https://ci:topsecret@host/path', 'https://***@host/path'],
    ['a signature in a URL', 'https://s3/x?X-Amz-Signature=abc123&y=1', 'https://s3/x?X-Amz-Signature=***&y=1'],
  ])('takes out %s', (_what, text, redacted) => {
    const redactor = new Redactor()
    redactor.add('hunter22')
    redactor.add('hunter two')
    expect(redactor.redact(text)).toBe(redacted)
  })

  it('takes out all of a secret that begins with another one', () => {
    const redactor = new Redactor()
    redactor.add('hunter')
    redactor.add('hunter22')
    expect(redactor.redact('x hunter22 hunter y')).toBe('x *** *** y')
  })

  it('knows a secret until the last one who told it of it forgets it', () => {
    const redactor = new Redactor()
    redactor.add('hunter22')
    redactor.add('hunter22')
    redactor.remove('hunter22')
    expect(redactor.redact('hunter22')).toBe('***')
    redactor.remove('hunter22')
    expect(redactor.redact('hunter22')).toBe('hunter22')
  })

  it('forgets a token that has expired', () => {
    const redactor = new Redactor()
    redactor.add('hunter22')
    redactor.remove('hunter22')
    expect(redactor.redact('hunter22')).toBe('hunter22')
  })

  it('leaves out what is too short to be a secret, so that text stays readable', () => {
    const redactor = new Redactor()
    redactor.add('a')
    expect(redactor.redact('a banana')).toBe('a banana')
  })
})

describe.each([true, false])('the log, pretty: %s', (pretty) => {
  it('never holds a secret, whatever field it comes in', () => {
    const redactor = new Redactor()
    const stream = new PassThrough()
    const logger = createLogger({ level: 'info', pretty, redactor, stream }).child({ bundle: 'authz' })
    redactor.add('hunter22')
    redactor.add('back\\slash"quote\nüline')
    logger.warn({ err: new Error('login as hunter22 failed'), deep: { token: 'hunter22' } }, 'with hunter22')
    logger.warn({ deep: { token: 'back\\slash"quote\nüline' } }, 'with back\\slash"quote\nüline')
    stream.end()
    const text = stream.setEncoding('utf8').read() as string
    expect(text.split('with ***')).toHaveLength(3)
    expect(text).not.toMatch(/slash|quote|line/)
    expect(text).toContain('authz')
    expect(text).toContain('***')
    expect(text).not.toContain('hunter22')
  })
})
