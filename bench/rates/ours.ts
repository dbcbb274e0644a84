import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { packPush, type Push } from '../../src/artifact/push.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { Redactor } from '../../src/lib/redact.ts'
import { createOciClient } from '../../src/oci/client.ts'
import { startLongshore, type Longshore } from '../../test/support/longshore.ts'
import { tempDir } from '../../test/support/temp.ts'
import { onServerCore } from './servers.ts'

export const token = 'a-token-that-is-long-enough-to-be-one'
export const authorization = `Authorization: Bearer ${token}`

/** In its first seconds a process holds its young generation small: what is measured has been up for longer. */
const settleMs = 12_000

/**
 * `longshore serve` as somebody would run it: access by tokens, metrics on, each bundle in the built-in registry. On one core, unless
 * it is started `under` something else.
 */
export async function startOurs(
  bundles: readonly string[],
  under: readonly string[] = onServerCore,
): Promise<Longshore> {
  const tokens = { bench: { token, allow: ['read', 'deploy', 'push:policies/*'] } }
  const server = await startLongshore({
    under,
    headers: { authorization: `Bearer ${token}` },
    config: {
      server: { access: { tokens } },
      bundles: Object.fromEntries(
        bundles.map((name) => [name, { store: { type: 'local', repository: `policies/${name}` } }]),
      ),
    },
  })
  await sleep(settleMs)
  return server
}

/** A bundle of about so many bytes, which no compression makes smaller, ready to be pushed. */
export async function packPolicy(name: string, bytes: number): Promise<Push> {
  const folder = tempDir('policy')
  mkdirSync(join(folder, name))
  writeFileSync(join(folder, '.manifest'), JSON.stringify({ roots: [name] }))
  writeFileSync(join(folder, name, 'policy.rego'), `package ${name}\n\nallow := true\n`)
  const filling = randomBytes(Math.max(1, bytes - 500)).toString('base64')
  writeFileSync(join(folder, name, 'data.json'), JSON.stringify({ filling }))
  return packPush([folder])
}

/** Pushes it and returns when its last request began (`performance.now()`), which is the one that releases it. */
export async function pushTo(host: string, repository: string, packed: Push): Promise<number> {
  const client = createOciClient({
    clock: systemClock,
    random: () => Math.random(),
    logger: silentLogger,
    redactor: new Redactor(),
    registries: { [host]: { username: 'bench', password: token, plainHttp: true } },
  })
  try {
    const target = client.repository(`${host}/${repository}`)
    for (const { descriptor, open } of packed.blobs) await target.putBlob(descriptor, open)
    const startedMs = performance.now()
    await target.putManifest(packed.manifest, ['latest'])
    return startedMs
  } finally {
    await client.close()
  }
}
