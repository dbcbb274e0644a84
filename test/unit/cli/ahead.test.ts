import { once } from 'node:events'
import { expect, it } from 'vitest'
import { startAhead } from '../../../src/cli/ahead.ts'

it('starts threads for a server alone', async () => {
  for (const line of ['', '--help', 'push serve', '--json tags serve/policies']) {
    expect(startAhead(line.split(' '))).toBeUndefined()
  }
  const { config, state } = startAhead(['--json', 'serve', '-c', 'longshore.yaml'])!
  await Promise.all([config, state].map((thread) => once(thread, 'online')))
  await Promise.all([config.terminate(), state.terminate()])
})
