import { describe, expect, it } from 'vitest'
import { askHidden, readPasswordFromStdin } from '../../../src/cli/password.ts'
import { createContext } from './fake-context.ts'

describe('a password from stdin', () => {
  it.each([
    ['secret\n', 'secret'],
    ['secret\r\n', 'secret'],
    ['pass word: ä', 'pass word: ä'],
  ])('is all of %j but the line end', async (text, password) => {
    const context = createContext()
    context.stdin.end(text)
    expect(await readPasswordFromStdin(context)).toBe(password)
  })

  it('is refused when there is none, or far too much', async () => {
    const empty = createContext()
    empty.stdin.end('\n')
    await expect(readPasswordFromStdin(empty)).rejects.toMatchObject({ code: 'no_password' })
    const endless = createContext()
    endless.stdin.end('x'.repeat(70_000))
    await expect(readPasswordFromStdin(endless)).rejects.toMatchObject({ code: 'no_password' })
  })
})

describe('a password that is typed', () => {
  it('is not shown, can be corrected, and leaves the terminal as it was', async () => {
    const context = createContext({ terminal: true })
    const password = askHidden(context, 'Password: ')
    context.stdin.write('secre')
    context.stdin.write('x\u007ft\r')
    expect(await password).toBe('secret')
    expect(context.raw).toEqual([true, false])
    expect(context.shown()).toBe('Password: \n')
  })

  it('keeps characters that arrive in pieces', async () => {
    const context = createContext({ terminal: true })
    const password = askHidden(context, '')
    const bytes = Buffer.from('pä€ss\n')
    for (const byte of bytes) context.stdin.write(Buffer.from([byte]))
    expect(await password).toBe('pä€ss')
  })

  it('ends with Ctrl-C, which raw mode hands to us', async () => {
    const context = createContext({ terminal: true })
    const password = askHidden(context, '')
    context.stdin.write('secret\u0003')
    await expect(password).rejects.toMatchObject({ code: 'interrupted' })
    expect(context.raw).toEqual([true, false])
  })

  it('cannot be empty, and cannot be asked for without a terminal', async () => {
    const context = createContext({ terminal: true })
    const password = askHidden(context, '')
    context.stdin.write('\r')
    await expect(password).rejects.toMatchObject({ code: 'no_password' })
    await expect(askHidden(createContext(), '')).rejects.toMatchObject({ code: 'no_password' })
  })
})
