import { join } from 'node:path'
import { expect, it } from 'vitest'
import { runCommand } from '../../../src/cli/program.ts'
import { writeFiles } from '../../support/policy.ts'
import { createContext } from './fake-context.ts'

it('names the file that is no bundle', async () => {
  const folder = writeFiles({ Dockerfile: 'FROM scratch\n' })
  const context = createContext({ cwd: folder })
  expect(await runCommand(['inspect', join(folder, 'Dockerfile')], '0', context)).toBe(4)
  expect(context.shown()).toContain(`cannot read ${join(folder, 'Dockerfile')} as a bundle: `)
  expect(context.shown()).toContain('longshore build')
})
