import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { describeComponent, expectedPath, isThere, moduleFolder, type ComponentName } from './list.ts'

const prefix = '.building-'

/** Builds aside and renames, so that a build that was interrupted leaves nothing that looks finished. */
export function buildGoComponent(name: ComponentName): void {
  const binary = expectedPath(name)
  const folder = dirname(binary)
  mkdirSync(dirname(folder), { recursive: true })
  removeInterruptedBuilds(dirname(folder))
  const aside = mkdtempSync(join(dirname(folder), prefix))
  try {
    compile(name, join(aside, basename(binary)))
    if (!isThere(name)) {
      rmSync(folder, { recursive: true, force: true })
      renameSync(aside, folder)
    }
  } finally {
    rmSync(aside, { recursive: true, force: true })
  }
}

/** Who builds holds the lock, so what lies here is nobody's. */
function removeInterruptedBuilds(cache: string): void {
  const leftovers = readdirSync(cache).filter((entry) => entry.startsWith(prefix))
  for (const entry of leftovers) rmSync(join(cache, entry), { recursive: true, force: true })
}

function compile(name: ComponentName, output: string): void {
  const component = describeComponent(name)
  const cgo = component.from === 'go' && component.cgo === true ? '1' : '0'
  const { status, stderr, error } = spawnSync('go', ['build', '-trimpath', '-o', output, toolPackage(name)], {
    cwd: moduleFolder(name),
    env: { ...process.env, GOWORK: 'off', CGO_ENABLED: cgo },
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
  })
  if (status !== 0)
    throw new Error(`go build in test/components/go/${name} failed: ${error?.message ?? lastLines(stderr)}`)
}

function toolPackage(name: ComponentName): string {
  const tool = /^tool\s+(\S+)$/m.exec(readFileSync(join(moduleFolder(name), 'go.mod'), 'utf8'))?.[1]
  if (tool === undefined) throw new Error(`test/components/go/${name}/go.mod has no tool line`)
  return tool
}

function lastLines(text: string): string {
  const lines = text.trim().split('\n')
  return lines
    .filter((line) => !line.startsWith('go: downloading'))
    .slice(-15)
    .join('\n')
}
