import { join } from 'node:path'
import { installDebianPackages, whyNoAptGet } from './debian.ts'
import { buildGoComponent } from './go.ts'
import { cacheFolder, describeComponent, goVersion, isThere, type ComponentName } from './list.ts'
import { whileLocked } from './lock.ts'

export interface Problem {
  name: ComponentName
  why: string
}

/** Brings what is missing, one at a time, and says which could not be had. */
export async function bringComponents(names: ComponentName[], say: (line: string) => void): Promise<Problem[]> {
  const missing = names.filter((name) => !isThere(name))
  if (missing.length === 0) return []
  const onWait = () => {
    say('another process is bringing components: waiting for it')
  }
  return whileLocked(join(cacheFolder(), 'lock.db'), onWait, () => [
    ...bringDebian(
      missing.filter((name) => describeComponent(name).from === 'debian' && !isThere(name)),
      say,
    ),
    ...missing
      .filter((name) => describeComponent(name).from === 'go' && !isThere(name))
      .flatMap((name) => bringGo(name, say)),
  ])
}

function bringDebian(names: ComponentName[], say: (line: string) => void): Problem[] {
  if (names.length === 0) return []
  const obstacle = whyNoAptGet()
  if (obstacle !== undefined) return names.map((name) => ({ name, why: obstacle }))
  const started = Date.now()
  say(`${names.join(', ')}: installing`)
  try {
    installDebianPackages(names.map(debianPackage))
    say(`${names.join(', ')}: installed in ${secondsSince(started)} s`)
    return []
  } catch (error) {
    return names.map((name) => ({ name, why: (error as Error).message }))
  }
}

function bringGo(name: ComponentName, say: (line: string) => void): Problem[] {
  if (goVersion() === undefined) return [{ name, why: 'it is built with Go, and there is no `go` in PATH' }]
  const started = Date.now()
  say(`${name}: building`)
  try {
    buildGoComponent(name)
    say(`${name}: built in ${secondsSince(started)} s`)
    return []
  } catch (error) {
    return [{ name, why: (error as Error).message }]
  }
}

function debianPackage(name: ComponentName): string {
  const component = describeComponent(name)
  return component.from === 'debian' ? component.package : name
}

function secondsSince(started: number): number {
  return Math.round((Date.now() - started) / 1000)
}
