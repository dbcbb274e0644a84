import { execFile } from 'node:child_process'
import { IntegrityError, StorageError } from '../lib/errors.ts'

const timeoutMs = 60_000
const maxOutputBytes = 1024 * 1024

/**
 * Has an `opa` program load the bundle as a running OPA would. `opa run` at the end of its input is the one command
 * that refuses neither more nor less: `check` and `eval` also hold schema annotations against the policies, `build` does
 * not see rules and data that conflict. Throws IntegrityError `bad_bundle`; StorageError `io` where opa cannot be run.
 */
export async function loadWithOpa(opaPath: string, bundle: string, signal?: AbortSignal): Promise<void> {
  const args = ['run', '--skip-version-check', '--skip-verify', '--history', '/dev/null', '--bundle', bundle]
  const { promise, resolve, reject } = Promise.withResolvers<undefined>()
  const child = execFile(
    opaPath,
    args,
    { signal, timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: maxOutputBytes, env: {}, cwd: '/' },
    (error, stdout, stderr) => {
      if (error === null) resolve(undefined)
      else if (signal?.aborted === true) reject(signal.reason as Error)
      else if (typeof error.code === 'number') {
        if (lacksWasm(`${stderr}${stdout}`)) resolve(undefined)
        else reject(refusal(`${stderr}${stdout}`, bundle))
      } else if (error.killed === true)
        reject(new IntegrityError('bad_bundle', `OPA did not load it within ${timeoutMs / 1000} s`))
      else reject(new StorageError('io', `cannot run ${opaPath}: ${error.message}`, { cause: error }))
    },
  )
  child.stdin?.on('error', () => undefined)
  child.stdin?.end()
  await promise
}

/** Some builds of OPA cannot run wasm. What they say of a bundle with such a module is about themselves. */
function lacksWasm(output: string): boolean {
  return output.includes('failed to initialize wasm module') && output.includes('engine not found')
}

/** `error: load error: bundle PATH: 1 error occurred: a/b.rego:2: rego_type_error: …` */
function refusal(output: string, bundle: string): IntegrityError {
  const text = output.slice(output.indexOf('error: ')).replaceAll(`bundle ${bundle}: `, '')
  const why = text.replace(/^(error: |load error: |initialization error: )+/, '').trim()
  const file = /(?:^|\s)\/?([^\s:]+\.rego):\d+:/.exec(why)?.[1]
  return new IntegrityError('bad_bundle', `OPA refuses it: ${why.slice(0, 2000)}`, file === undefined ? {} : { file })
}
