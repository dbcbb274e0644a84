// Brings the real tools and servers that tests run against: all of them, or those that are named.
import { parseArgs } from 'node:util'
import { bringComponents } from './components/bring.ts'
import { componentNames, expectedPath, isComponentName, isThere, type ComponentName } from './components/list.ts'

const usage = `node scripts/components.ts [--check] [NAME…]   one or more of: ${componentNames.join(' ')}`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { check: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } },
})
const unknown = positionals.filter((word) => !isComponentName(word))
const names = positionals.length === 0 ? componentNames : positionals.filter(isComponentName)

if (values.help) console.log(usage)
else if (unknown.length > 0) fail([`unknown component: ${unknown.join(', ')}`, usage])
else if (values.check) check(names)
else fail((await bringComponents(names, console.log)).map(({ name, why }) => `${name}: cannot be had: ${why}`))

function check(asked: ComponentName[]): void {
  for (const name of asked) console.log(isThere(name) ? `${name}: ${expectedPath(name)}` : `${name}: missing`)
  if (!asked.every(isThere)) process.exitCode = 1
}

function fail(lines: string[]): void {
  for (const line of lines) console.error(line)
  if (lines.length > 0) process.exitCode = 1
}
