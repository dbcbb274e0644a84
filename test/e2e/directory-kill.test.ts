import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, it } from 'vitest'
import { lookIntoFolder } from '../../src/artifact/folder/folder.ts'
import { component, needs } from '../support/components.ts'
import { exec } from '../support/exec.ts'
import { filesOf, putSerial, specOf } from '../support/put-into-folder.ts'
import { tempDir } from '../support/temp.ts'

const driver = join(import.meta.dirname, '../support/put-into-folder.ts')
/** Everything after which a folder looks different to a reader, and what comes between. */
const steps = ['rename', 'renameat', 'renameat2', 'unlink', 'unlinkat', 'rmdir', 'symlink', 'symlinkat', 'link']

/** Ends a put with SIGKILL at its nth step; false where it has fewer. */
async function killAt(step: number, args: string[]): Promise<boolean> {
  const calls = steps.map((call) => `?${call}`).join()
  const inject = `inject=${calls}:signal=KILL:when=${step}`
  const strace = ['-f', '-qq', '-o', '/dev/null', '-e', `trace=${calls}`, '-e', inject]
  // strace counts for each thread.
  const { code, stderr } = await exec(component('strace'), [...strace, process.execPath, driver, ...args], {
    env: { UV_THREADPOOL_SIZE: '1', NODE_OPTIONS: undefined },
  })
  expect([null, 0], stderr).toContain(code)
  return code === null
}

needs('strace')('kill -9 at each step of a deployment', () => {
  it.each(['files', 'swap'])('leaves whole files, and is finished by the next: mode %s', async (mode) => {
    const folder = join(tempDir('kill'), 'zones')
    const told = join(tempDir('kill'), 'told')
    let serial = 1
    await putSerial(folder, mode, serial, told)
    let kills = 0
    for (let step = 1; await killAt(step, [folder, mode, String(serial + 1), told]); step += 1) {
      kills += 1
      refuseHalves(folder, mode, serial)
      serial += 1
      await putSerial(folder, mode, serial, told)
      expect(listing(folder), `after a kill at step ${step}`).toEqual(filesOf(serial))
      // Once, or by both: nobody can know whether the one that was killed had done so.
      expect([1, 2]).toContain(
        readFileSync(told, 'utf8')
          .split('\n')
          .filter((line) => line === String(serial)).length,
      )
      expect(await lookIntoFolder(specOf(folder, mode), 'zones')).toMatchObject({ isSettled: true })
      expect(leftovers(folder, mode)).toEqual([])
    }
    expect(kills).toBeGreaterThan(5)
    expect(listing(folder)).toEqual(filesOf(serial + 1))
  })
})

/** What is there is whole, of the older or the newer release; of one of them alone where it is swapped. */
function refuseHalves(folder: string, mode: string, serial: number): void {
  const found = listing(folder)
  const [older, newer] = [filesOf(serial), filesOf(serial + 1)]
  const of = (files: Record<string, string>) =>
    Object.entries(found).filter(([path, text]) => files[path] === text).length
  const size = Object.keys(found).length
  if (mode === 'files') expect(of(older) + of(newer)).toBe(size)
  else expect([older, newer]).toContainEqual(found)
}

function listing(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  const files = names.filter((name) => !name.startsWith('.longshore') && lstatSync(join(folder, name)).isFile())
  return Object.fromEntries(files.map((name) => [name, readFileSync(join(folder, name), 'utf8')]))
}

/** Beside the ledger, and with `swap` the version before the current one. */
function leftovers(folder: string, mode: string): string[] {
  if (mode === 'files') {
    return readdirSync(join(folder, '.longshore')).filter((name) => !/^\.ledger-[0-9a-f]{16}$/.test(name))
  }
  const home = join(dirname(folder), '.longshore', readdirSync(join(dirname(folder), '.longshore'))[0]!)
  const names = readdirSync(home)
  const versions = names.filter((name) => /^(\.ledger-)?[0-9a-f]{16}$/.test(name))
  return [...names.filter((name) => !versions.includes(name)), ...versions.slice(4)]
}
