// What the property tests found in configs, as plain cases.
import { describe, expect, it } from 'vitest'
import { parseServer } from '../../src/cli/server-address.ts'
import { parseConfigDocument } from '../../src/config/document.ts'
import { readEnvironment } from '../../src/config/environment.ts'
import { parseConfig } from '../../src/config/parse.ts'
import { configOf } from '../../src/config/read.ts'
import { substitute } from '../../src/config/substitute.ts'
import type { ConfigError } from '../../src/lib/errors.ts'
import { durationSchema } from '../../src/lib/schema.ts'
import { parseSchedule } from '../../src/lib/schedule.ts'
import { parseDuration, parseSize } from '../../src/lib/units.ts'
import { cpuMsOf } from './cost.ts'

describe('config files', () => {
  it('thousands of aliases take no time', () => {
    for (const text of ['<<: *a\n'.repeat(2000), Array.from({ length: 2000 }, (_, at) => `b${at}: *a\n`).join('')]) {
      expect(cpuMsOf(() => expect(parseConfigDocument(text).problems[0]?.message).toMatch(/alias/))).toBeLessThan(1000)
    }
  })

  it('no message quotes what stands there, whatever ends the line', () => {
    expect(parseConfigDocument('|hunter2\u2028').problems).toEqual([
      { line: 1, message: 'not YAML: Block scalar header includes extra characters' },
    ])
  })
})

describe('the config', () => {
  it.each(['9'.repeat(400) + 'd', '40000d', '9007199254740993ms'])('%s is no duration', (text) => {
    expect(parseDuration(text)).toBeUndefined()
    expect(durationSchema.safeParse(text).error?.issues[0]?.message).toContain('at most 36500d')
  })

  it.each(['9'.repeat(400) + 'B', '8192TiB'])('%s is no size', (text) => {
    expect(parseSize(text)).toBeUndefined()
  })

  it.each([
    '0-99999999 * * * *',
    '100 * * * *',
    `@daily${'*'.repeat(10_000)}`,
    '23 23 1,2 * */5 *monmonmonmonmonmonmonmonmonmonmon',
    '* * * * *decdecdecdec',
    '0-decdecdecdec * * * *',
    '0-9dec9dec9dec * * * *',
  ])('%s is no schedule, and said to be none at once', (text) => {
    const bad = expect.objectContaining({
      code: 'bad_schedule',
      message: expect.toSatisfy((message: string) => message.length < 500),
    }) as Error
    expect(cpuMsOf(() => expect(() => parseSchedule(text)).toThrow(bad))).toBeLessThan(1000)
  })

  it('values that name each other ten thousand times are a problem, not an error of ours', () => {
    const meta = Object.fromEntries(Array.from({ length: 9000 }, (_, at) => [`a${at}`, `\${meta.a${at + 1}}`]))
    const { problems } = substitute('${meta.a0}', { environment: () => undefined, meta })
    expect(problems).toHaveLength(1)
  })

  it.each(['__proto__', 'constructor', 'toString'])('${%s} is no variable of the environment', async (name) => {
    const place = { name: 'longshore.yaml', file: null, folder: '/nowhere' }
    for (const environment of [readEnvironment(), readEnvironment({})]) {
      const parsed = parseConfig(configOf({ log: { level: `\${${name}}` } }), place, { environment })
      await expect(parsed).rejects.toMatchObject({
        problems: [expect.objectContaining({ key: 'log.level', message: `the environment has no ${name}` })],
      })
    }
  })
  it('a server named with many slashes takes no time', () => {
    expect(cpuMsOf(() => parseServer(`http://h/${'/'.repeat(100_000)}x//`))).toBeLessThan(1000)
  })

  it('a `$${` in quotes does not take the brace behind them', () => {
    expect(parseConfigDocument('{ "a": "$${" }')).toMatchObject({ value: { a: '$${' }, problems: [] })
    expect(parseConfigDocument('{ a: $${x}, b: ${x} }')).toMatchObject({
      value: { a: '$${x}', b: '${x}' },
      problems: [],
    })
  })

  it('keys within keys within keys are a problem, said at once', () => {
    expect(cpuMsOf(() => parseConfigDocument('? '.repeat(2_000)))).toBeLessThan(1000)
    expect(parseConfigDocument('a: 1\n? [b]\n: 2\n').problems).toEqual([
      expect.objectContaining({ line: 2, message: 'a key is text, this one is a list or a mapping' }),
    ])
  })

  it('a key that many bundles have wrong, and one of 300,000 characters, are said at once and in few words', async () => {
    const store = { type: 'local', repository: 'a' }
    const bundles = Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`b${at}`, { store, x: 1 }]))
    const problemsOf = async (value: unknown) => {
      const place = { name: 'longshore.yaml', file: null, folder: '/nowhere' }
      const parsed = parseConfig(configOf(value), place, { environment: readEnvironment({}) })
      return parsed.then(
        () => [],
        (error: ConfigError) => error.problems,
      )
    }
    const before = process.threadCpuUsage()
    expect(await problemsOf({ bundles })).toHaveLength(500)
    const [problem] = await problemsOf({ server: { limits: { ['m'.repeat(300_000)]: 1 } } })
    const { user, system } = process.threadCpuUsage(before)
    expect((user + system) / 1000).toBeLessThan(1000)
    expect(problem!.message.length + problem!.key!.length).toBeLessThan(5000)
  })

  it('a tag of YAML does not make bytes of text', () => {
    expect(parseConfigDocument('a: !!binary aGk=').problems).toHaveLength(1)
  })

  it.each([
    [
      'as it is',
      'a: "x\uFDD0y\uFDD1"\n\uFDD0: ${A}\nb: { c: ${B} }\n',
      { a: 'x\uFDD0y\uFDD1', '\uFDD0': '${A}', b: { c: '${B}' } },
    ],
    ['as an escape', 'a: "x\\uFDD0y\\U0000fdd1"\nb: { c: ${B} }\n', { a: 'x\uFDD0y\uFDD1', b: { c: '${B}' } }],
    [
      'beside the next that could stand for them',
      'a: \uFDD0\uE000\nb: { c: ${B} }\n',
      { a: '\uFDD0\uE000', b: { c: '${B}' } },
    ],
  ])('what stands for braces while it is parsed is no brace where it was written: %s', (_what, text, value) => {
    expect(parseConfigDocument(text)).toMatchObject({ value, problems: [] })
  })

  it('a text that leaves no character to stand for braces is read without', () => {
    const all = Array.from({ length: 0x1900 }, (_value, at) => String.fromCharCode(0xe000 + at)).join('')
    const document = parseConfigDocument(`a: "${all}\uFDD0"\nb: "\${B}"\n`)
    expect(document).toMatchObject({ value: { a: `${all}\uFDD0`, b: '${B}' }, problems: [] })
    expect(parseConfigDocument(`a: "${all}\uFDD0"\nb: { c: \${B} }\n`).problems).not.toEqual([])
  })
})
