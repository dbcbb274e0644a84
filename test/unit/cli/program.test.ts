import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Command, Option } from 'commander'
import { describe, expect, it } from 'vitest'
import { createProgram, runCommand } from '../../../src/cli/program.ts'
import { createContext } from './fake-context.ts'

const docs = readFileSync(resolve(import.meta.dirname, '../../../docs/cli.md'), 'utf8')
const program = await createProgram('0.0.0', createContext())

/** Those that do something, by the words with which they are called. */
const leaves = leavesOf(program, [])

function leavesOf(command: Command, words: string[]): { words: string; command: Command }[] {
  if (command.commands.length === 0) return [{ words: words.join(' '), command }]
  return command.commands.flatMap((child) => leavesOf(child, [...words, child.name()]))
}

function sectionOf(words: string): string {
  return docs.split(/^### /m).find((section) => section.startsWith(`\`longshore ${words}`)) ?? ''
}

describe('docs/cli.md', () => {
  it.each(leaves)('has `longshore $words` with every argument and option, and no other', ({ words, command }) => {
    const section = sectionOf(words)
    expect(section, `no heading for longshore ${words}`).not.toBe('')
    const heading = section.split('\n')[0]!
    for (const argument of command.registeredArguments) expect(heading).toContain(argument.name().toUpperCase())
    const known = [...program.options, ...command.options].map(({ long }) => long)
    for (const option of command.options) expect(section).toContain(`\`${describeFlags(option)}\``)
    const named = [...section.matchAll(/`(?:-\w, )?(--[a-z-]+)/g)].map((match) => match[1])
    expect(named.filter((flag) => !known.includes(flag))).toEqual([])
  })

  it('has no command that is none', () => {
    const headings = [...docs.matchAll(/^### `longshore ([a-z -]+?)(?: [A-Z…[-].*)?`/gm)].map((match) => match[1])
    expect(headings.toSorted()).toEqual(leaves.map(({ words }) => words).toSorted())
  })
})

function describeFlags({ flags }: Option): string {
  return flags.replace(/<([^>]+)>/, (_all, name: string) => name.toUpperCase())
}

describe('every command', () => {
  it.each(leaves)('$words: its help has a sentence and an example', ({ command, words }) => {
    let help = ''
    command.configureOutput({ writeOut: (text) => (help += text) })
    command.outputHelp()
    expect(command.description()).toMatch(/\w/)
    expect(help).toContain(`longshore ${words}`)
    expect(help).toMatch(/\nExamples?:\n {2}longshore /)
  })
})

describe('a command that is named', () => {
  it.each(program.commands.map((command) => command.name()))('%s is the only one that is loaded', async (name) => {
    const one = await createProgram('0.0.0', createContext(), ['--json', name, 'pull'])
    expect(one.commands.map((command) => command.name())).toEqual([name])
  })
})

describe('a wrong command line', () => {
  async function run(args: string[], json = false) {
    const context = createContext({ json })
    return { status: await runCommand(args, '0.0.0', context), stdout: context.stdout(), shown: context.shown() }
  }

  it.each([
    [['cpoy'], 'copy'],
    [['tags', 'x', '--wacth'], '--watch'],
    [['config', 'shema'], 'schema'],
  ])('%j ends with 2 and names %s', async (args, near) => {
    const { status, shown, stdout } = await run(args)
    expect(status).toBe(2)
    expect(shown).toContain(`Did you mean ${near}?`)
    expect(stdout).toBe('')
  })

  it('is one document with --json', async () => {
    const { status, stdout } = await run(['tags', '--json'], true)
    expect(status).toBe(2)
    expect(JSON.parse(stdout)).toEqual({ error: { code: 'usage', message: "missing required argument 'repo'" } })
  })

  it('an interval that is none is refused with how to write it', async () => {
    const { status, shown } = await run(['tags', 'x/y', '--interval', '5'])
    expect(status).toBe(2)
    expect(shown).toContain('30s, 5m or 1h')
  })

  it('help and version end with 0, as a document with --json', async () => {
    expect(await run(['--version'])).toMatchObject({ status: 0, stdout: '0.0.0\n' })
    expect((await run(['tags', '--help'])).stdout).toContain('--watch')
    expect(JSON.parse((await run(['--version', '--json'], true)).stdout)).toEqual({ text: '0.0.0' })
  })
})

describe('an error', () => {
  it('never shows a secret, on stdout or stderr', async () => {
    const context = createContext({
      json: true,
      env: { LONGSHORE_TOKEN: 'tell-nobody', LONGSHORE_SERVER: 'http://u:tell-nobody@x' },
    })
    context.redactor.add('tell-nobody')
    expect(await runCommand(['tags', 'tell-nobody/UPPER:bad'], '0', context)).toBe(2)
    expect(context.stdout() + context.shown()).not.toContain('tell-nobody')
    expect(JSON.parse(context.stdout())).toMatchObject({ error: { code: 'bad_reference' } })
  })
})
