import { afterAll, beforeAll, describe, it } from 'vitest'
import { Api } from './api.ts'
import { distributionChecks } from './checks.ts'
import { startV2Server, type V2Server } from './server.ts'

let server: V2Server

beforeAll(async () => {
  server = await startV2Server()
})

afterAll(() => server.close())

for (const workflow of ['pull', 'push', 'discovery', 'management'] as const) {
  describe(`distribution specification, ${workflow}`, () => {
    for (const check of distributionChecks.filter((check) => check.workflow === workflow)) {
      it(check.name, () => check.run(new Api(server)))
    }
  })
}
