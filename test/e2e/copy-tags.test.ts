// A whole repository from one real registry to another: how many requests it takes, whatever the machine does meanwhile.
import { expect, test } from 'vitest'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { Redactor } from '../../src/lib/redact.ts'
import { createOciClient } from '../../src/oci/client.ts'
import { copyTags } from '../../src/oci/copy-tags.ts'
import { needs } from '../support/components.ts'
import { longshore } from '../support/longshore.ts'
import { startDistributionV3, startOlareg } from '../support/registries.ts'
import { imageOf } from '../support/repository.ts'
import { tempDir } from '../support/temp.ts'

const count = 20

needs('distribution', 'olareg')('copying all tags', () => {
  test('asks for each thing once, and again only whether a tag is the same', async () => {
    const [source, target] = await Promise.all([startDistributionV3(), startOlareg()])
    const requests = new Map<string, number>()
    const client = createOciClient({
      clock: systemClock,
      random: Math.random,
      logger: silentLogger,
      redactor: new Redactor(),
      onRequest: ({ host, method }) => {
        const key = `${method} ${host === source.host ? 'source' : 'target'}`
        requests.set(key, (requests.get(key) ?? 0) + 1)
      },
    })
    try {
      const [from, to] = [client.repository(`${source.host}/many`), client.repository(`${target.host}/many`)]
      for (let at = 0; at < count; at++) await imageOf(from, [`layer ${at}`], { tags: [`v${at}`] })
      requests.clear()
      expect(await copyTags(from, to)).toMatchObject({ blobsCopied: count + 1, skipped: 0 })
      // Each artifact has a layer of its own, and all have one config. Where nothing is yet, nothing is asked for, and olareg
      // takes a blob with the first request.
      expect(Object.fromEntries(requests)).toEqual({
        'GET source': 1 + count + (count + 1),
        'GET target': 1,
        'POST target': count + 1,
        'PUT target': count,
      })
      requests.clear()
      const again = await copyTags(from, to)
      expect(again.tags.filter(({ changed }) => changed)).toEqual([])
      expect(Object.fromEntries(requests)).toEqual({
        'GET source': 1,
        'GET target': 1,
        'HEAD source': count,
        'HEAD target': count,
      })
    } finally {
      await client.close()
    }
    const run = (...args: string[]) => longshore(['copy', ...args], { env: { DOCKER_CONFIG: tempDir('docker') } })
    const [from, to] = [`${source.host}/many`, `${target.host}/more`]
    const copied = await run(from, to, '--all-tags')
    expect(copied.stdout).toContain(`${count} tags copied; ${count + 1} blobs copied`)
    expect((await run(from, to, '-a')).stdout).toContain(`0 tags copied, ${count} the same already`)
    const wrong = await run(`${from}:v1`, to, '--all-tags')
    expect(wrong.code).toBe(2)
    expect(wrong.stderr).toContain('names one artifact')
    expect((await run(from, to, '--all-tags', '--platform', 'linux/amd64')).code).toBe(2)
  })
})
