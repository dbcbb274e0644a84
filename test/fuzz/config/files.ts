// From a value, or a whole file, to a config.
import fc from 'fast-check'
import { stringify } from 'yaml'
import type { Config } from '../../../src/config/config.ts'
import { readEnvironment } from '../../../src/config/environment.ts'
import { parseConfig } from '../../../src/config/parse.ts'
import { formatProblems } from '../../../src/config/problems.ts'
import { configOf, readConfig, type ReadConfig } from '../../../src/config/read.ts'
import { ConfigError } from '../../../src/lib/errors.ts'
import { hostileTree } from '../mutate/tree.ts'
import { asyncOutcome, asyncProperty, ok, same } from '../property.ts'
import { configs, keys, secret, texts, words } from './written.ts'

const environment = readEnvironment({ SECRET: secret, NAME: 'name', SHORT: 'abc', LONG: 'long-'.repeat(20) })
const place = { name: 'longshore.yaml', file: '/nowhere/longshore.yaml', folder: '/nowhere' }
const now = () => Date.UTC(2026, 0, 1)

/** What is wrong is said in words of ours, and never what a secret is. */
async function parse(document: ReadConfig, listen?: string): Promise<Config> {
  try {
    return await parseConfig(document, place, { environment, listen, now })
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const shown = `${error.message}\n${formatProblems(error.problems)}`
    ok(error.problems.length > 0)
    ok(!shown.includes(secret) && !shown.includes('[object') && !shown.includes('undefined'))
    throw error
  }
}

function checkSecrets(config: Config, text: string): void {
  // Whoever writes it into a URL or a name has it stand there.
  const written =
    /^ *(?:token|password|identity_token): \$\{SECRET\}$|"(?:token|password|identity_token)":"\$\{SECRET\}"/gm
  if (!text.replaceAll(written, '').includes('SECRET')) ok(!JSON.stringify(config).includes(secret))
}

const listens = fc.option(fc.constantFrom('127.0.0.1:0', '[::1]:8085'), { nil: undefined, freq: 2 })

export const fileProperties = [
  asyncProperty('configs', fc.tuple(hostileTree(configs, words, keys), listens), async ([value, listen]) => {
    const config = await asyncOutcome(() => parse(configOf(value), listen), ConfigError)
    if (config !== undefined) checkSecrets(config, JSON.stringify(value))
  }),
  asyncProperty('config files', texts, async (text) => {
    const config = await asyncOutcome(async () => parse(await readConfig(Buffer.from(text))), ConfigError)
    if (config !== undefined) checkSecrets(config, text)
  }),
  asyncProperty('config files that were written', fc.tuple(configs, fc.boolean()), async ([written, isYaml]) => {
    const text = isYaml ? stringify(written) : JSON.stringify(written)
    const { bundles } = await parse(await readConfig(Buffer.from(text)))
    const names = Object.keys((written as { bundles?: object }).bundles ?? {})
    same(
      bundles.map(({ name }) => name),
      names,
    )
  }),
]
