// A thread with a compile cache compiles nothing the second time: what TypeScript needs for that is 17 MiB in each of them.
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { exec } from '../support/exec.ts'
import { tempDir } from '../support/temp.ts'

const source = pathToFileURL(resolve(import.meta.dirname, '../../src/lib/start-thread.ts')).href

test('a thread takes what it runs from the compile cache, where its process does', async () => {
  const folder = tempDir('start-thread')
  const program = join(folder, 'program.ts')
  writeFileSync(
    program,
    `import { parentPort } from 'node:worker_threads'
const loaded: string[] = (process as unknown as { moduleLoadList: string[] }).moduleLoadList
parentPort?.postMessage(loaded.some((name) => name.includes('amaro')) ? 'compiled' : 'from the cache')
`,
  )
  const main = join(folder, 'main.mjs')
  writeFileSync(
    main,
    `import { enableCompileCache } from 'node:module'
if (process.argv[2] === 'cached') enableCompileCache()
const { startThread } = await import('${source}')
const thread = startThread(new URL('${pathToFileURL(program).href}'))
thread.on('message', console.log)
`,
  )
  const env = { NODE_COMPILE_CACHE: undefined, TMPDIR: folder }
  const said = async (...args: string[]) => (await exec(process.execPath, [main, ...args], { env })).stdout.trim()
  expect(await said()).toBe('compiled')
  await said('cached')
  expect(await said('cached')).toBe('from the cache')
})

test('a thread fails as its program does', async () => {
  const folder = tempDir('start-thread')
  const main = join(folder, 'main.mjs')
  writeFileSync(
    main,
    `import { enableCompileCache } from 'node:module'
enableCompileCache()
const { startThread } = await import('${source}')
const thread = startThread(new URL('file:///not/there.ts'))
thread.on('error', ({ code }) => console.log(code))
`,
  )
  const { stdout } = await exec(process.execPath, [main], { env: { TMPDIR: folder } })
  expect(stdout.trim()).toBe('ERR_MODULE_NOT_FOUND')
})
