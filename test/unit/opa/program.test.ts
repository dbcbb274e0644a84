import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadWithOpa } from '../../../src/opa/program.ts'
import { tempDir } from '../../support/temp.ts'

/** A script in place of opa; what a real one says is tried in test/e2e. */
function program(script: string): string {
  const path = join(tempDir('opa'), 'opa')
  writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  return path
}

describe('asking opa', () => {
  it('is content with a program that ends well, and gives it no input', async () => {
    const out = join(tempDir('opa'), 'out')
    await loadWithOpa(program(`echo "$@" > ${out}; cat >> ${out}`), '/some/bundle')
    expect(readFileSync(out, 'utf8')).toMatch(/^run .*--bundle \/some\/bundle\n$/)
  })

  it.each([
    [
      'error: load error: bundle /b: manifest roots [a] do not permit it',
      'manifest roots [a] do not permit it',
      undefined,
    ],
    [
      'error: initialization error: 1 error occurred: /a/p.rego:3: rego_type_error: x',
      '1 error occurred: /a/p.rego:3: rego_type_error: x',
      'a/p.rego',
    ],
  ])('tells why it refuses: %s', async (output, why, file) => {
    const promise = loadWithOpa(program(`echo '${output}' >&2; exit 1`), '/b')
    await expect(promise).rejects.toMatchObject({ code: 'bad_bundle', message: `OPA refuses it: ${why}`, file })
  })

  it('does not blame the bundle when opa was built without wasm', async () => {
    const output =
      "error: initialization error: failed to initialize wasm module for entrypoints '[data.a.x]': engine not found"
    await loadWithOpa(program(`echo "${output}" >&2; exit 1`), '/b')
  })

  it('is our own trouble when there is no such program', async () => {
    await expect(loadWithOpa('/nowhere/opa', '/b')).rejects.toMatchObject({ name: 'StorageError', code: 'io' })
  })

  it('ends the program when it is aborted', async () => {
    const controller = new AbortController()
    const promise = loadWithOpa(program('exec sleep 60'), '/b', controller.signal)
    controller.abort(new Error('enough'))
    await expect(promise).rejects.toThrow('enough')
  })

  it('does not hand it our environment', async () => {
    const out = join(tempDir('opa'), 'out')
    await loadWithOpa(program(`/usr/bin/env > ${out}`), '/b')
    expect(readFileSync(out, 'utf8')).not.toContain('HOME=')
  })
})
