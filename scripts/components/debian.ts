import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

/** Undefined where apt-get can be used, else why not: we install nothing on a machine that is a person's own. */
export function whyNoAptGet(): string | undefined {
  if (!existsSync('/etc/debian_version') || !existsSync('/usr/bin/apt-get')) return 'this is not Debian'
  if (process.getuid?.() !== 0) return 'installing it takes root'
  return undefined
}

export function installDebianPackages(packages: string[]): void {
  aptGet('update')
  aptGet('install', '--yes', '--no-install-recommends', ...packages)
}

function aptGet(...args: string[]): void {
  const { status, stdout, stderr, error } = spawnSync('apt-get', ['-o', 'DPkg::Lock::Timeout=300', ...args], {
    // In runlevel 1 no package's own script starts its service.
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1', LC_ALL: 'C.UTF-8' },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
  })
  if (status === 0) return
  const tail = `${stdout}\n${stderr}`.trim().split('\n').slice(-10).join('\n')
  throw new Error(`apt-get ${args.join(' ')} failed: ${error?.message ?? tail}`)
}
