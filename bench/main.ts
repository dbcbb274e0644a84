// npm run bench [-- NAME…]: ratios measured side by side in one run. Ends with 1 where one is over its bound.
import { run as runBundles } from './bundles.ts'
import { run as runCatalog } from './catalog.ts'
import { run as runPush } from './push.ts'

const benches: Record<string, () => Promise<boolean>> = {
  push: runPush,
  bundles: runBundles,
  catalog: runCatalog,
}

const names = process.argv.slice(2)
const unknown = names.filter((name) => !(name in benches))
if (unknown.length > 0) {
  console.error(`there is no bench ${unknown.join(', ')}: there are ${Object.keys(benches).join(', ')}`)
  process.exitCode = 2
} else {
  for (const name of names.length > 0 ? names : Object.keys(benches)) {
    console.log(`\n${name}`)
    if (!(await benches[name]!())) process.exitCode = 1
  }
}
