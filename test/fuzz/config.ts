import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { parseConfigDocument, readConfigDocument } from '../../src/config/document.ts'
import { readEnvironment } from '../../src/config/environment.ts'
import { loadConfig } from '../../src/config/load.ts'
import { formatProblems } from '../../src/config/problems.ts'
import { parseListen } from '../../src/config/schema/server.ts'
import { substitute } from '../../src/config/substitute.ts'
import { parseServer } from '../../src/cli/server-address.ts'
import { ConfigError } from '../../src/lib/errors.ts'
import { firstLookAt, nextLookAt, parseSchedule, shortestGapMs } from '../../src/lib/schedule.ts'
import { durationSchema, sizeSchema } from '../../src/lib/schema.ts'
import { formatDuration, formatSize, parseDuration, parseSize } from '../../src/lib/units.ts'
import { stringify } from 'yaml'
import { hostileBytes, hostileText, hostileTree, pumped } from './mutate.ts'
import { asyncOutcome, asyncProperty, ok, outcome, property, same, type Group } from './property.ts'

const secret = 'hunter2-of-the-test'

const configs = fc.record(
  {
    meta: fc.constant({ env: 'prod', port: 8085, deep: { a: '${meta.env}', b: '${NAME:-x}' } }),
    server: fc.record(
      {
        listen: fc.constantFrom('127.0.0.1:8085', '[::1]:0', '0.0.0.0:${meta.port}'),
        public_url: fc.constantFrom('https://policy.example.com', 'http://localhost:8085'),
        access: fc.constantFrom(
          { anonymous: 'read', tokens: { ci: { token: '${SECRET}', allow: ['push:policies/*', 'read'] } } },
          { users: { ann: { password_hash: `$2y$05$${'a'.repeat(53)}`, allow: ['admin'] } } },
        ),
        limits: fc.record(
          {
            wait_max: fc.constantFrom('55s', '1m', '0.5h'),
            max_manifest: fc.constantFrom('4MiB', '1KiB'),
            max_uploads: fc.nat(),
          },
          { requiredKeys: [] },
        ),
        shutdown_timeout: fc.constantFrom('10s', '1h'),
      },
      { requiredKeys: [] },
    ),
    log: fc.constantFrom({ level: 'info' }, { level: 'debug', format: 'json' }),
    registries: fc.constantFrom(
      { 'ghcr.io': { username: 'u', password: '${SECRET}' } },
      { '*': { concurrency: 3 } },
      { 'ghcr.io/acme': { token: '${SECRET}' } },
    ),
    stores: fc.constantFrom(
      { hub: { type: 'oci', repository: 'ghcr.io/acme/policies' } },
      { here: { type: 'local', repository: 'policies/a' }, dir: { type: 'oci-layout', path: './x' } },
    ),
    bundles: fc.dictionary(
      fc.constantFrom('authz', 'a/b', 'c.d'),
      fc.record(
        {
          store: fc.constantFrom<unknown>(
            'hub',
            'here',
            { type: 'local', repository: 'policies/x' },
            { type: 'oci', repository: 'ghcr.io/acme/app', username: 'u', password: '${SECRET}' },
          ),
          follow: fc.constantFrom('latest', `sha256:${'a'.repeat(64)}`, '${meta.env}'),
          schedule: fc.constantFrom<unknown>('60s', 'off', '*/5 * * * *', { min: '60s', max: '120s' }),
          deploy: fc.constantFrom<unknown>([], [{ to: 'prod' }], [{ to: 'prod', form: 'source' }]),
          aliases: fc.constantFrom([], ['/service/v1/bundle.tar.gz']),
          keep: fc.constantFrom(1, 10),
          limits: fc.constantFrom({}, { max_unpacked: '1GiB', max_ratio: 5 }),
          platform: fc.constantFrom('linux/amd64', 'linux/arm/v7'),
        },
        { requiredKeys: ['store'] },
      ),
      { maxKeys: 2 },
    ),
    deployers: fc.constantFrom({ prod: { type: 'oci', repository: 'registry.prod/policies' } }, {}),
    opa: fc.constantFrom({}, { path: 'opa' }),
  },
  { requiredKeys: [] },
)
const keys = [
  'server',
  'bundles',
  'stores',
  'store',
  'type',
  'repository',
  'follow',
  'schedule',
  'limits',
  'min',
  'max',
  'to',
  'listen',
  'tokens',
  'access',
  'meta',
  'registries',
  '*',
  'file',
]
const words = [
  '${SECRET}',
  '${meta.env}',
  '${meta.deep.a}',
  '${',
  '$${',
  '${NAME}',
  '${NAME:-',
  '}',
  'latest',
  '60s',
  'off',
  'oci',
  'local',
  '* * * * *',
  'ghcr.io/acme/app',
  'docker.io',
  '1GiB',
  '-1s',
  '/dev/null',
]
const yamlTokens = [
  ...words,
  ': ',
  '- ',
  '? ',
  '&a ',
  '*a',
  '<<: *a',
  '!!binary x',
  '!!set',
  '|',
  '>',
  '---\n',
  '\n',
  '  ',
  '\t',
  '#',
  '{',
  '}',
  '[',
  ']',
  '"',
  "'",
]
const texts = fc.oneof(
  { weight: 2, arbitrary: hostileTree(configs, words, keys).map((value) => JSON.stringify(value) ?? '') },
  { weight: 2, arbitrary: hostileTree(configs, words, keys).map((value) => stringify(value ?? null)) },
  {
    weight: 1,
    arbitrary: hostileText(
      configs.map((value) => stringify(value)),
      yamlTokens,
    ),
  },
)

/** A folder of this process, removed when it ends; made for the first case. */
let scratch: string | undefined

interface How {
  listen?: string
  path?: string
  configFile?: string
}

async function load(text: string, { configFile, ...how }: How): Promise<unknown> {
  if (scratch === undefined) {
    const folder = (scratch = mkdtempSync(join(tmpdir(), 'longshore-fuzz-')))
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  }
  writeFileSync(join(scratch, 'longshore.yaml'), text)
  const environment = readEnvironment({ SECRET: secret, NAME: 'name' })
  const named = { ...environment, configFile }
  return loadConfig({ environment: named, cwd: scratch, now: () => Date.UTC(2026, 0, 1), ...how })
}

/** Whoever writes it into a URL or a name has it stand there. */
function isOnlyWhereSecretsGo(text: string): boolean {
  return !text.replaceAll(/^ *(?:token|password): \$\{SECRET\}$/gm, '').includes('SECRET')
}

const listens = fc.constantFrom('127.0.0.1:0', '[::1]:8085', 'nowhere', '')
const hows: fc.Arbitrary<How> = fc.oneof(
  { weight: 6, arbitrary: fc.constant({}) },
  { weight: 2, arbitrary: listens.map((listen) => ({ listen })) },
  { weight: 1, arbitrary: fc.constantFrom({ path: 'missing.yaml' }, { path: '.' }, { configFile: 'longshore.yaml' }) },
)

const documentProperties = [
  property(
    'config files as bytes',
    hostileBytes(
      texts.map((text) => Buffer.from(text)),
      ['\xff', '\xfe', '\0', '\xef\xbb\xbf', '\r\n', '\xc3'].map((text) => Buffer.from(text, 'latin1')),
    ),
    (bytes) => {
      const document = readConfigDocument(bytes)
      const isText = bytes.equals(Buffer.from(bytes.toString())) && !bytes.includes(0)
      if (isText) same(document.problems, parseConfigDocument(bytes.toString()).problems)
      else same([document.value, document.problems[0]?.message], [undefined, 'not UTF-8'])
    },
  ),
  asyncProperty(
    'config files',
    fc.tuple(texts, hows),
    async ([text, how]) => {
      const config = await asyncOutcome(async () => {
        try {
          return await load(text, how)
        } catch (error) {
          if (error instanceof ConfigError) {
            const shown = `${error.message}\n${formatProblems(error.problems)}`
            ok(error.problems.length > 0 || /^(cannot read|--listen)/.test(error.message))
            ok(!shown.includes(secret) && !shown.includes('[object') && !shown.includes('undefined'))
          }
          throw error
        }
      }, ConfigError)
      if (config !== undefined && isOnlyWhereSecretsGo(text)) ok(!JSON.stringify(config).includes(secret))
    },
    { share: 0.3 },
  ),
  property('config documents', texts, (text) => {
    const document = parseConfigDocument(text)
    ok(document.problems.every(({ message }) => typeof message === 'string' && !message.includes('\ufdd0')))
    ok(!JSON.stringify(document.value ?? null).includes('\ufdd0'))
    document.lineOf(['bundles', 'authz', 'store', 0])
    document.textAt(['bundles', 'authz', 'follow'])
  }),
  property('long config documents', pumped(yamlTokens, 20_000), (text) => void parseConfigDocument(text), {
    share: 0.05,
  }),
  property(
    'substitution',
    fc.tuple(
      hostileText(fc.constantFrom('${A}', 'x${A:-y}z', '${meta.a.b}', '$${A}', '${A}${B}', '${meta.loop}'), [
        '${',
        '}',
        '$',
        'A',
        'B',
        ':-',
        'meta.',
        'a',
        '.',
        '__proto__',
      ]),
      fc.dictionary(fc.constantFrom('A', 'B'), fc.string({ maxLength: 5 })),
    ),
    ([text, variables]) => {
      const meta = { a: { b: 'deep ${A:-no}', c: [1] }, loop: '${meta.loop}', one: 1 }
      const lookups = {
        environment: (name: string) => (Object.hasOwn(variables, name) ? variables[name] : undefined),
        meta,
      }
      const { value, problems, used } = substitute({ key: text, list: [text], other: 7 }, lookups)
      const { key, list, other } = value as { key: string; list: string[]; other: number }
      same([list, other], [[key], 7])
      ok(problems.length % 2 === 0 && problems.every(({ path }) => ['key', 'list'].includes(String(path[0]))))
      ok([...used].every(([name, was]) => variables[name] === was))
      if (!text.includes('${')) same(key, text)
      if (text.includes('${') && !text.includes('$${') && problems.length === 0)
        ok(!key.includes('${') || Object.values(variables).some((one) => one.includes('$')) || text.includes(':-'))
    },
  ),
  property(
    'values that name each other',
    fc.tuple(fc.constantFrom(1, 10, 9000), fc.constantFrom(1, 2)),
    ([count, times]) => {
      const meta = Object.fromEntries(
        Array.from({ length: count }, (_, at) => [`a${at}`, `\${meta.a${at + 1}}`.repeat(times)]),
      )
      const { value } = substitute('${meta.a0}', {
        environment: () => undefined,
        meta: { ...meta, [`a${count}`]: 'x' },
      })
      ok(typeof value === 'string' && value.length <= 64 * 1024)
    },
    { share: 0.02 },
  ),
  property(
    'long substitution',
    pumped(['${', '}', '$', '${A}', '$${', '${A:-', '${meta.']),
    (text) => {
      substitute(text, { environment: () => 'x', meta: {} })
    },
    { share: 0.1 },
  ),
]

const unitTokens = ['ms', 's', 'm', 'h', 'd', 'B', 'KiB', 'GiB', 'TiB', '.', '-', '+', 'e', ' ', '\n', '9'.repeat(400)]
const isUsable = (value: number | undefined) => value === undefined || (Number.isSafeInteger(value) && value >= 0)
const fields = fc.constantFrom('*', '0', '5', '*/5', '1-5', '1,2', '10-20/3', '59', '23', '31', '12', '7', 'mon', 'JAN')
const crons = fc.array(fields, { minLength: 5, maxLength: 6 }).map((parts) => parts.join(' '))
const cronTokens = [
  '*',
  '/',
  '-',
  ',',
  '0',
  '60',
  '99999',
  'mon',
  'sunday',
  'L',
  '#',
  '?',
  ' ',
  '@daily',
  '@',
  '*/0',
  '1-',
  '0-999999999',
  '\n',
]

const unitProperties = [
  property(
    'durations and sizes',
    hostileText(
      fc.oneof(
        fc
          .tuple(fc.nat(), fc.constantFrom('ms', 's', 'm', 'h', 'd', 'B', 'KiB', 'MiB', 'GiB', 'TiB'))
          .map((parts) => parts.join('')),
        fc.constantFrom('1.5h', '0s', '0.001ms'),
      ),
      unitTokens,
    ),
    (text) => {
      ok(isUsable(parseDuration(text)) && isUsable(parseSize(text)))
      const found = durationSchema.safeParse(text)
      ok(!found.success || (found.data === parseDuration(text) && found.data > 0))
      const size = sizeSchema.safeParse(text)
      ok(!size.success || (size.data === parseSize(text) && size.data > 0))
      ok(!/NaN|Infinity|e\+/.test(`${formatDuration(parseDuration(text) ?? 0)} ${formatSize(parseSize(text) ?? 0)}`))
    },
  ),
  property(
    'long durations',
    pumped(unitTokens),
    (text) => void [parseDuration(text), parseSize(text), durationSchema.safeParse(text)],
    { share: 0.1 },
  ),
  property(
    'schedules',
    hostileText(fc.oneof(crons, fc.constantFrom('60s', 'off', '1d', '@hourly', '5m')), cronTokens),
    (text) => {
      const schedule = outcome(() => parseSchedule(text), ConfigError, ['bad_schedule'])
      if (schedule === undefined) return
      const now = Date.UTC(2026, 0, 1)
      const next = nextLookAt(schedule, now, () => 0.5)
      ok(schedule.kind === 'off' ? next === null : next === null || (Number.isFinite(next) && next >= now))
      for (const hasRelease of [true, false]) ok(firstLookAt(schedule, now, () => 0.5, hasRelease) >= now)
      if (schedule.kind === 'interval')
        ok(schedule.minMs <= schedule.maxMs && isUsable(schedule.minMs) && isUsable(schedule.maxMs))
      if (schedule.kind !== 'cron') ok((shortestGapMs(schedule, now) ?? 1) >= 0)
    },
    { share: 0.3 },
  ),
  property(
    'ranges of schedules',
    fc.tuple(
      hostileText(fc.constantFrom('60s', '1h'), unitTokens),
      hostileText(fc.constantFrom('120s', '2h'), unitTokens),
    ),
    ([min, max]) => {
      const schedule = outcome(() => parseSchedule({ min, max }), ConfigError, ['bad_schedule'])
      if (schedule?.kind === 'interval')
        ok(schedule.minMs > 0 && schedule.minMs <= schedule.maxMs && isUsable(schedule.maxMs))
    },
  ),
  property(
    'long schedules',
    pumped(cronTokens, 10_000),
    (text) => void outcome(() => parseSchedule(text), ConfigError, ['bad_schedule']),
    { share: 0.05 },
  ),
  property(
    'addresses to listen on',
    hostileText(fc.constantFrom('127.0.0.1:8085', '[::1]:0', 'host.example:443'), [
      '[',
      ']',
      ':',
      '::',
      '65535',
      '65536',
      '/',
    ]),
    (text) => {
      const found = parseListen(text)
      if (found !== undefined)
        ok(found.host !== '' && Number.isInteger(found.port) && found.port >= 0 && found.port <= 65_535)
    },
  ),
  property(
    'URLs of servers',
    hostileText(fc.constantFrom('http://127.0.0.1:8085', 'https://policy.example.com/x/', 'https://u:p@h/'), [
      'http://',
      '@',
      ':',
      '/',
      '//',
      '?',
      '#',
      '[::1]',
    ]),
    (text) => {
      const url = outcome(() => parseServer(text), ConfigError, ['usage'])
      if (url !== undefined) ok(/^https?:\/\/[^/@?#]+/.test(url) && !url.endsWith('/') && parseServer(url) === url)
    },
  ),
  property(
    'long addresses',
    pumped(['[', ':', 'http://a', '/', '@', '1']),
    (text) => {
      parseListen(text)
      outcome(() => parseServer(`http://h/${text}`), ConfigError, ['usage'])
    },
    { share: 0.1 },
  ),
]

export const config: Group = {
  files: [
    'src/config/document.ts',
    'src/config/substitute.ts',
    'src/config/load.ts',
    'src/config/issues.ts',
    'src/config/schema/server.ts',
    'src/config/schema/bundles.ts',
    'src/config/schema/registries.ts',
    'src/config/problems.ts',
    'src/lib/units.ts',
    'src/lib/schema.ts',
    'src/lib/schedule.ts',
  ],
  properties: [...documentProperties, ...unitProperties],
}
