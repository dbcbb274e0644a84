import { createReadStream, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { Redactor } from '../../src/lib/redact.ts'
import { createOciClient, type OciClient } from '../../src/oci/client.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { emptyJson, ociConfig, ociLayerTarGzip, ociManifest } from '../../src/oci/media.ts'
import { programPath } from '../../test/support/longshore.ts'
import { tempDir } from '../../test/support/temp.ts'
import { time, writeRandom } from './measure.ts'

export async function withClient<T>(run: (client: OciClient) => Promise<T>): Promise<T> {
  const client = createOciClient({
    clock: systemClock,
    random: () => Math.random(),
    logger: silentLogger,
    redactor: new Redactor(),
  })
  try {
    return await run(client)
  } finally {
    await client.close()
  }
}

/** A small bundle. */
export async function pushSmall(reference: string): Promise<void> {
  const folder = tempDir('small')
  writeFileSync(join(folder, 'policy.rego'), 'package authz\n\nallow := true\n')
  await time(process.execPath, [programPath, 'push', folder, reference])
}

/** An image of two layers, as a Dockerfile gives it: policies, and so many bytes that do not compress. */
export async function pushImage(reference: string, bytes: number): Promise<void> {
  const folder = tempDir('image')
  mkdirSync(join(folder, 'assets'))
  const parts = 4
  for (let at = 0; at < parts; at++) writeRandom(join(folder, 'assets', `${at}.bin`), bytes / parts)
  writeFileSync(join(folder, 'policy.rego'), 'package heavy\n\nallow := true\n')
  await withClient(async (client) => {
    const repository = client.repository(reference)
    const layers = []
    for (const name of ['policy.rego', 'assets']) {
      const path = join(folder, `${name}.tar.gz`)
      await time('tar', ['-czf', path, '-C', folder, name])
      const content = readFileSync(path)
      const layer = { mediaType: ociLayerTarGzip, digest: digestOf(content), size: content.length }
      await repository.putBlob(layer, () => createReadStream(path) as AsyncIterable<Buffer>)
      layers.push(layer)
    }
    const config = { mediaType: ociConfig, digest: digestOf(emptyJson), size: emptyJson.length }
    await repository.putBlob(config, once)
    const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociManifest, config, layers }))
    await repository.putManifest({ mediaType: ociManifest, digest: digestOf(manifest), bytes: manifest }, ['latest'])
  })
}

async function* once(): AsyncIterable<Uint8Array> {
  yield emptyJson
}
