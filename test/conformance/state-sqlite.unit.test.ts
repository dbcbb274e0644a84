import type { State } from '../../src/state/state.ts'
import { tempDir } from '../support/temp.ts'
import { openInProcess, openState } from '../unit/state/open.ts'
import { testState } from './state.ts'

const folders = new WeakMap<State, string>()

async function openWhole(path = tempDir('state')): Promise<State> {
  const state = await openState(path)
  folders.set(state, path)
  return state
}

testState('sqlite', {
  open: () => openInProcess(),
  openWhole: () => openWhole(),
  async reopen(state) {
    await state.close()
    return openWhole(folders.get(state))
  },
})
