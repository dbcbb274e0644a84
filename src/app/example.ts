import { fileURLToPath } from 'node:url'
import { packPush } from '../artifact/push.ts'
import type { Logger } from '../lib/logger.ts'
import type { LocalRepository, Registry } from '../registry/types.ts'
import type { State } from '../state/state.ts'

export const exampleFolder = fileURLToPath(new URL('../../examples/policy', import.meta.url))
export const exampleRepository = 'policies/example'
const tags = ['1.0.0', 'latest']
const fact = 'example'

/** With nothing configured: puts the example policy where the bundle `example` follows it, once. */
export async function seedExample(registry: Registry, facts: State['facts'], logger: Logger): Promise<void> {
  if ((await facts.get(fact)) !== undefined) return
  const repository = registry.repository(exampleRepository)
  if ((await repository.tagPage({ limit: 1 })).length === 0) await put(repository, logger)
  await facts.set(fact, 'there')
}

async function put(repository: LocalRepository, logger: Logger): Promise<void> {
  const packed = await packPush([exampleFolder])
  try {
    for (const { descriptor, open } of packed.blobs) await repository.putBlob(descriptor, open)
    await repository.putManifest(packed.manifest, tags)
  } finally {
    await packed.close()
  }
  logger.info(
    { repository: exampleRepository, digest: packed.manifest.digest },
    'put the example policy into the registry',
  )
}
