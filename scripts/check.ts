// npm run check: everything that can be known without real components. `npm run check -- lint types` does some of it.
import { spawn } from 'node:child_process'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')

const parts: Record<string, string[]> = {
  lint: [
    'eslint',
    '--max-warnings=0',
    '--cache',
    '--cache-strategy=content',
    '--cache-location=node_modules/.cache/eslint',
    '.',
  ],
  format: ['prettier', '--check', '--log-level=warn', '--cache', '.'],
  types: ['tsc', '--incremental', '--tsBuildInfoFile', 'node_modules/.cache/tsc.tsbuildinfo'],
  unit: ['vitest', 'run', '--project=unit', '--reporter=minimal'],
}

interface Outcome {
  part: string
  ok: boolean
  output: string
  seconds: number
}

const asked = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(parts)
const unknown = asked.filter((part) => !Object.hasOwn(parts, part))

if (unknown.length > 0) {
  console.error(`unknown part: ${unknown.join(', ')}; there are ${Object.keys(parts).join(', ')}`)
  process.exitCode = 2
} else {
  // Two lanes: unit takes about as long as the others together.
  const lanes = [asked.filter((part) => part === 'unit'), asked.filter((part) => part !== 'unit')]
  const outcomes = (await Promise.all(lanes.map(runInTurn))).flat()
  report(outcomes)
}

async function runInTurn(lane: string[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  for (const part of lane) {
    const outcome = await run(part)
    console.log(`${outcome.ok ? 'ok    ' : 'FAILED'} ${part} (${outcome.seconds.toFixed(1)} s)`)
    outcomes.push(outcome)
  }
  return outcomes
}

async function run(part: string): Promise<Outcome> {
  const [command = '', ...args] = parts[part] ?? []
  const started = performance.now()
  const child = spawn(join(root, 'node_modules/.bin', command), args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => (output += chunk))
  }
  const { promise, resolve } = Promise.withResolvers<boolean>()
  child.once('error', (error) => {
    output += error.message
    resolve(false)
  })
  child.once('close', (code) => {
    resolve(code === 0)
  })
  const ok = await promise
  return { part, ok, output, seconds: (performance.now() - started) / 1000 }
}

function report(outcomes: Outcome[]): void {
  const failures = outcomes.filter(({ ok }) => !ok)
  for (const { part, output } of failures) console.error(`\n=== ${part} ===\n${output.trim()}`)
  if (failures.length === 0) return
  console.error(`\nfailed: ${failures.map(({ part }) => part).join(', ')}`)
  if (failures.some(({ part }) => part === 'format')) console.error('`npm run format` puts the format right')
  process.exitCode = 1
}
