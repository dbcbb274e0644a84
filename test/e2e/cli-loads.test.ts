// What a small command loads is most of the time that it takes.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { longshore } from '../support/longshore.ts'
import { tempDir } from '../support/temp.ts'

test('a command that finds no config loads neither its schema nor a logger', async () => {
  const dir = tempDir('loads')
  const file = join(dir, 'loaded.txt')
  const hook = `
    import { appendFileSync } from 'node:fs'
    import { registerHooks } from 'node:module'
    registerHooks({ load: (url, context, next) => (appendFileSync(${JSON.stringify(file)}, url + '\\n'), next(url, context)) })
  `
  const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(hook)}`
  const ran = await longshore(['tags', `oci-layout:${join(dir, 'none')}`], { cwd: dir, env: { NODE_OPTIONS } })
  expect(ran.code).not.toBe(0)
  const loaded = readFileSync(file, 'utf8').split('\n')
  expect(loaded.some((url) => url.endsWith('/src/oci/layout.ts'))).toBe(true)
  // What may start the state's thread is there for each command, and small.
  const needless =
    /\/node_modules\/(zod|pino)\/|\/src\/config\/(load|schema)|\/src\/(server|reconcile)\/|\/src\/state\/(?!sqlite\/thread\.ts)/
  expect(loaded.filter((url) => needless.test(url))).toEqual([])
})
