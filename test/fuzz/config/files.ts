import fc from 'fast-check'
import { parseConfigDocument, readConfigDocument } from '../../../src/config/document.ts'
import { readEnvironment } from '../../../src/config/environment.ts'
import { parseConfig } from '../../../src/config/parse.ts'
import { readConfig } from '../../../src/config/read.ts'
import type { Config } from '../../../src/config/config.ts'
import { formatProblems } from '../../../src/config/problems.ts'
import { ConfigError } from '../../../src/lib/errors.ts'
import { hostileBytes } from '../mutate/bytes.ts'
import { pumped } from '../mutate/pumped.ts'
import { asyncOutcome, asyncProperty, ok, property, same } from '../property.ts'
import { secret, texts, yamlTokens } from './written.ts'

const environment = readEnvironment({ SECRET: secret, NAME: 'name' })

async function parse(text: string, listen: string | undefined): Promise<Config> {
  const place = { name: 'longshore.yaml', file: '/nowhere/longshore.yaml', folder: '/nowhere' }
  return parseConfig(await readConfig(Buffer.from(text)), place, {
    environment,
    listen,
    now: () => Date.UTC(2026, 0, 1),
  })
}

/** Whoever writes it into a URL or a name has it stand there. */
function isOnlyWhereSecretsGo(text: string): boolean {
  const written = /^ *(?:token|password): \$\{SECRET\}$|"(?:token|password)":"\$\{SECRET\}"/gm
  return !text.replaceAll(written, '').includes('SECRET')
}

const listens = fc.option(fc.constantFrom('127.0.0.1:0', '[::1]:8085'), { nil: undefined, freq: 2 })

const lines = fc.constantFrom('a: 1\n', 'b: wörd\n', '# ☃\n', '😀: [x]\n', '- ${A}\n')

export const fileProperties = [
  property(
    'config files as bytes',
    hostileBytes(
      fc.array(lines, { maxLength: 4 }).map((list) => Buffer.from(list.join(''))),
      ['\xff', '\xfe', '\0', '\xef\xbb\xbf', '\r\n', '\xc3'].map((text) => Buffer.from(text, 'latin1')),
    ),
    (bytes) => {
      const document = readConfigDocument(bytes)
      const isText = bytes.equals(Buffer.from(bytes.toString())) && !bytes.includes(0)
      if (isText) same(document.problems, parseConfigDocument(bytes.toString()).problems)
      else same([document.value, document.problems[0]?.message], [undefined, 'not UTF-8'])
    },
  ),
  asyncProperty('config files', fc.tuple(texts, listens), async ([text, listen]) => {
    const config = await asyncOutcome(async () => {
      try {
        return await parse(text, listen)
      } catch (error) {
        if (error instanceof ConfigError) {
          const shown = `${error.message}\n${formatProblems(error.problems)}`
          ok(error.problems.length > 0)
          ok(!shown.includes(secret) && !shown.includes('[object') && !shown.includes('undefined'))
        }
        throw error
      }
    }, ConfigError)
    if (config !== undefined && isOnlyWhereSecretsGo(text)) ok(!JSON.stringify(config).includes(secret))
  }),
  property('config documents', texts, (text) => {
    const document = parseConfigDocument(text)
    ok(document.problems.every(({ message }) => typeof message === 'string' && !message.includes('\ufdd0')))
    ok(!JSON.stringify(document.value ?? null).includes('\ufdd0'))
    document.lineOf(['bundles', 'authz', 'store', 0])
    document.textAt(['bundles', 'authz', 'follow'])
  }),
  property('long config documents', pumped(yamlTokens, 20_000), (text) => void parseConfigDocument(text), {
    share: 0.02,
  }),
]
