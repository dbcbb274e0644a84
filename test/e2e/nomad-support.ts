import { createDeployer } from '../../src/deployers/nomad/index.ts'
import { nomadDeployerSchema } from '../../src/deployers/nomad/schema.ts'
import type { Deploy, Deployer } from '../../src/deployers/deployer.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { Redactor } from '../../src/lib/redact.ts'
import { deployOf } from '../conformance/deployer.ts'
import type { Nomad } from '../support/nomad.ts'
import { waitFor } from '../support/wait.ts'

/** What is read of a job here. */
export interface ReadJob {
  Version: number
  JobModifyIndex: number
  Meta: Record<string, string>
  TaskGroups: { Tasks: (Record<string, unknown> & { Env?: Record<string, string> })[] }[]
}

/** Until a `serviceJob` says so on its port: while one version ends and the next begins, nobody may listen. */
export async function runs(port: number, version: string): Promise<void> {
  await waitFor(
    `${version} on port ${port}`,
    async () => (await (await fetch(`http://127.0.0.1:${port}/`)).text()) === version,
  )
}

/** For the task `server`. */
export function deployerFor(nomad: Nomad, job: string, more: object = {}): Deployer {
  const set = { 'env.VERSION': '{version}', 'env.IMAGE': '{repository}@{digest}', 'meta.release': '{release}' }
  const config = { type: 'nomad', address: nomad.url, token: nomad.token, job, task: 'server', set, ...more }
  const registries = {
    repository: () => {
      throw new Error('not for this plugin')
    },
  }
  const context = { registries, logger: silentLogger, redactor: new Redactor(), clock: systemClock }
  return createDeployer(nomadDeployerSchema.parse(config), context)
}

/** `said`: the lines of the attempt's log. */
export async function releaseOf(
  version: string,
  number: number,
  more: Partial<Deploy> = {},
): Promise<Deploy & { said: string[] }> {
  const said: string[] = []
  const what = await deployOf(version, { version, number })
  return { ...what, said, origin: 'registry.test/shop/web', say: (text) => void said.push(text), ...more }
}
