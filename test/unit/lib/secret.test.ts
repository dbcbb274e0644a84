import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { Redactor } from '../../../src/lib/redact.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { tempDir } from '../../support/temp.ts'

function secretFile(content: string): string {
  const file = join(tempDir('secret'), 'secret')
  writeFileSync(file, content)
  return file
}

describe('a secret', () => {
  it('is text as it is', async () => {
    const secret = new Secret('hunter2\n')
    expect(secret.current()).toBe('hunter2\n')
    expect(await secret.read()).toBe('hunter2\n')
  })

  it('is what a file holds, without the line end', async () => {
    const secret = new Secret({ file: secretFile('hunter2\r\n') })
    expect(secret.isKnown()).toBe(false)
    expect(() => secret.current()).toThrow(/has not been read/)
    expect(await secret.read()).toBe('hunter2')
    expect(secret.current()).toBe('hunter2')
  })

  it('is read again when the file changes', async () => {
    const file = secretFile('first')
    const secret = new Secret({ file })
    await secret.read()
    writeFileSync(file, 'second')
    expect(secret.current()).toBe('first')
    expect(await secret.read()).toBe('second')
    expect(secret.current()).toBe('second')
  })

  it('says what is wrong with its file, and keeps what it had', async () => {
    const file = secretFile('first')
    const secret = new Secret({ file })
    await secret.read()
    rmSync(file)
    await expect(secret.read()).rejects.toThrow(`cannot read the secret in ${file}: there is no such file`)
    expect(secret.current()).toBe('first')
    await expect(new Secret({ file: secretFile('\n') }).read()).rejects.toThrow('it is empty')
    await expect(new Secret({ file: tempDir() }).read()).rejects.toThrow('it is a folder')
    await expect(new Secret({ file: secretFile('x'.repeat(70_000)) }).read()).rejects.toThrow('larger than 64 KiB')
  })

  it('is never shown', () => {
    const secret = new Secret('hunter2')
    const shown = [
      String(secret),
      JSON.stringify({ secret }),
      inspect({ secret }),
      `${inspect(secret, { showHidden: true })}`,
    ]
    expect(shown.join()).not.toContain('hunter2')
  })

  it('tells the redactor each text it has', async () => {
    const redactor = new Redactor()
    const file = secretFile('first-secret')
    const secret = new Secret({ file })
    secret.introduce(redactor)
    new Secret('a-literal').introduce(redactor)
    await secret.read()
    writeFileSync(file, 'another-secret')
    await secret.read()
    expect(redactor.redact('first-secret another-secret a-literal')).toBe('*** *** ***')
  })

  it('is told apart by where it comes from', () => {
    expect(new Secret('a').fingerprint()).toBe(new Secret('a').fingerprint())
    expect(new Secret('a').fingerprint()).not.toBe(new Secret('b').fingerprint())
    expect(new Secret({ file: 'a' }).fingerprint()).not.toBe(new Secret('a').fingerprint())
  })
})
