import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { packPush } from '../src/artifact/push.ts'
import { systemClock } from '../src/lib/clock.ts'
import { silentLogger } from '../src/lib/logger.ts'
import { Redactor } from '../src/lib/redact.ts'
import { createOciClient, type OciClient } from '../src/oci/client.ts'
import type { Longshore } from '../test/support/longshore.ts'
import { tempDir } from '../test/support/temp.ts'

/** The repository that policies are pushed to. */
export const policies = 'policies/authz'

export function openClient(): OciClient {
  return createOciClient({
    clock: systemClock,
    random: () => Math.random(),
    logger: silentLogger,
    redactor: new Redactor(),
  })
}

/** As `latest`; its package says the version. */
export async function pushPolicy(client: OciClient, { host }: Pick<Longshore, 'host'>, version: string): Promise<void> {
  const folder = tempDir('push')
  mkdirSync(join(folder, 'authz'))
  writeFileSync(join(folder, '.manifest'), JSON.stringify({ revision: version, roots: ['authz'] }))
  writeFileSync(join(folder, 'authz', 'policy.rego'), `package authz\n\nversion := ${JSON.stringify(version)}\n`)
  const packed = await packPush([folder])
  const repository = client.repository(`${host}/${policies}`)
  for (const { descriptor, open } of packed.blobs) await repository.putBlob(descriptor, open)
  await repository.putManifest(packed.manifest, ['latest'])
  await packed.close()
}
