import { readFileSync } from 'node:fs'
import { startAhead } from './cli/ahead.ts'

// All that follows is loaded while these start.
const argv = process.argv.slice(2)
const ahead = startAhead(argv)
const [{ Output }, { runCommand }, { readEnvironment }, { systemClock }, { Redactor }] = await Promise.all([
  import('./cli/output.ts'),
  import('./cli/program.ts'),
  import('./config/environment.ts'),
  import('./lib/clock.ts'),
  import('./lib/redact.ts'),
])

// One Ctrl-C arrives twice where npm, or the Node that handed over to this one, passes on what the whole group was sent.
const echoMs = 500
const interrupted = new AbortController()
let interruptedAtMs: number | undefined
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    const nowMs = systemClock.monotonic()
    interruptedAtMs ??= nowMs
    if (nowMs - interruptedAtMs > echoMs) process.exit(130)
    interrupted.abort(new Error(`stopped by ${signal}`))
  })
}

// Whoever reads the result may have read enough: `longshore tags REPO | head -1`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))

const environment = readEnvironment()
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
const status = await runCommand(argv, version, {
  output: new Output({
    stdout: process.stdout,
    stderr: process.stderr,
    json: argv.includes('--json'),
    color: process.stderr.isTTY && !environment.noColor,
    terminal: process.stderr.isTTY,
    columns: process.stdout.isTTY ? process.stdout.columns : undefined,
  }),
  environment,
  clock: systemClock,
  redactor: new Redactor(),
  cwd: process.cwd(),
  stdin: process.stdin,
  stderr: process.stderr,
  ahead,
  signal: interrupted.signal,
  onHangup(run) {
    process.on('SIGHUP', run)
    return () => process.off('SIGHUP', run)
  },
})
process.exit(status)
