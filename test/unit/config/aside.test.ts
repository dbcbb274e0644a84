import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadConfigAside } from '../../../src/config/aside.ts'
import { secretsIn } from '../../../src/config/files.ts'
import { ConfigError } from '../../../src/lib/errors.ts'
import { tempDir } from '../../support/temp.ts'
import { load } from './load-text.ts'

const nowMs = Date.UTC(2026, 0, 1)

const text = `
server: { access: { tokens: { ci: { token: a-token-that-is-long-enough, allow: [read] } } } }
registries: { ghcr.io: { username: me, password: { file: ./password } } }
stores: { shared: { type: oci, repository: ghcr.io/acme/policies, username: me, password: its-own-password } }
bundles:
  authz: { store: shared, follow: { pattern: '^main-' , order: alphabetical }, schedule: '*/5 * * * *', deploy: [{ to: hook }] }
deployers:
  hook: { type: http, url: 'http://127.0.0.1:1/', headers: { X-Key: { secret: a-header-that-nobody-sees } } }
`

function folderWith(config: string): string {
  const folder = tempDir('config')
  writeFileSync(join(folder, 'longshore.yaml'), config)
  writeFileSync(join(folder, 'password'), 'from-a-file\n')
  return folder
}

describe('reading the config in a thread', () => {
  it('gives what reading it here gives, with every secret where it stands', async () => {
    const folder = folderWith(text)
    const aside = await loadConfigAside({ path: undefined, listen: '127.0.0.1:0', cwd: folder, nowMs })
    const here = await load(text, { folder, options: { listen: '127.0.0.1:0' } })
    const told = (config: typeof here) =>
      secretsIn(config).map(({ secret, path }) => [path.join('.'), secret.fingerprint()])
    expect(aside).toEqual(here)
    expect(told(aside)).toEqual(told(here))
    expect(told(aside).map(([path]) => path)).toEqual(
      expect.arrayContaining(['registries.0.password', 'bundles.0.store.password', 'deployers.hook.headers.X-Key']),
    )
    expect(await aside.registries[0]?.password?.read()).toBe('from-a-file')
  })

  it('says what is wrong with it, at its line, and no secret of it', async () => {
    const folder = folderWith(text.replace('store: shared', 'store: a-token-that-is-long-enough'))
    const refused = loadConfigAside({ path: undefined, listen: undefined, cwd: folder, nowMs })
    const error = await refused.then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(ConfigError)
    expect((error as ConfigError).problems).toEqual([
      expect.objectContaining({
        key: 'bundles.authz.store',
        line: 6,
        message: expect.stringContaining('***') as string,
      }),
    ])
  })

  it('sees the environment of this process', async () => {
    const folder = folderWith('bundles: { a: { store: { type: local, repository: "${LONGSHORE_TEST_ASIDE}" } } }')
    process.env.LONGSHORE_TEST_ASIDE = 'policies/a'
    try {
      const { bundles } = await loadConfigAside({ path: 'longshore.yaml', listen: undefined, cwd: folder, nowMs })
      expect(bundles[0]?.store).toEqual({ type: 'local', repository: 'policies/a' })
    } finally {
      delete process.env.LONGSHORE_TEST_ASIDE
    }
  })
})
