import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import { startApp, type AppOptions } from '../../../src/app.ts'
import { readEnvironment } from '../../../src/config/environment.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { Redactor } from '../../../src/lib/redact.ts'
import { load } from '../config/load-text.ts'

async function optionsFor(port: number): Promise<AppOptions> {
  const config = await load(`server: { listen: "127.0.0.1:${port}" }\n`)
  return {
    ...{ config, clock: systemClock, random: () => 0.5, version: '0.0.0', logger: silentLogger },
    loadConfig: () => Promise.resolve(config),
    environment: readEnvironment({}),
    redactor: new Redactor(),
    signal: new AbortController().signal,
  }
}

// Four starts of everything: how long they take is not what this is about.
it('leaves nothing open when it fails half-way: the folder can be used at once', async () => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  const options = await optionsFor((other.address() as AddressInfo).port)
  await expect(startApp(options)).rejects.toMatchObject({ name: 'ConfigError', code: 'cannot_listen' })
  other.close()
  await once(other, 'close')
  const app = await startApp(options)
  expect((await fetch(`${app.url}/ping`)).status).toBe(200)
  await expect(startApp(options)).rejects.toMatchObject({ code: 'locked' })
  expect((await fetch(`${app.url}/ping`)).status).toBe(200)
  await app.close()
  const again = await startApp(options)
  await again.close()
})
