// The parts of undici as modules of their own, which the package has and its types do not.
declare module 'undici/lib/dispatcher/agent.js' {
  import { Agent } from 'undici'
  export default Agent
}
