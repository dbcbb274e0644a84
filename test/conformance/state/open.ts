import type { State } from '../../../src/state/state.ts'

/** A new and empty state, which the test closes. */
export type OpenState = () => Promise<State>
