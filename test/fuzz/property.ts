// What a property test of a parser is, apart from who runs it: vitest for a thousand cases, scripts/fuzz.ts for a million.
import fc from 'fast-check'

export interface Property {
  name: string
  property: fc.IRawProperty<unknown>
}

export interface Group {
  /** Parsers under test, as paths from the repository's root; their branches are counted. */
  files: string[]
  properties: Property[]
}

export function property<T>(name: string, input: fc.Arbitrary<T>, check: (value: T) => void): Property {
  return {
    name,
    property: fc.property(input, (value) => within(name, () => check(value))),
  }
}

export function asyncProperty<T>(name: string, input: fc.Arbitrary<T>, check: (value: T) => Promise<void>): Property {
  const run = async (value: T) => {
    const before = process.threadCpuUsage()
    await check(value)
    checkTime(name, before)
  }
  return { name, property: fc.asyncProperty(input, run) }
}

/**
 * Of this thread's own computing, which other programs on the machine do not change. What grows with its input needs
 * milliseconds for the longest there is; a cost that grows with the square of 100,000 characters, several seconds.
 */
const maxCpuMs = 1000

function within(name: string, run: () => void): void {
  const before = process.threadCpuUsage()
  run()
  checkTime(name, before)
}

function checkTime(name: string, before: NodeJS.CpuUsage): void {
  const { user, system } = process.threadCpuUsage(before)
  const ms = (user + system) / 1000
  if (ms > maxCpuMs) throw new Error(`${name}: one case took ${Math.round(ms)} ms`)
}

type ErrorClass = abstract new (...args: never[]) => Error

/** What `run` returns; undefined when it throws an error of the documented class, with one of its documented codes. Any other error is passed on. */
export function outcome<T>(run: () => T, errorClass: ErrorClass, codes: readonly string[] = []): T | undefined {
  try {
    return run()
  } catch (error) {
    refuseOthers(error, errorClass, codes)
    return undefined
  }
}

export async function asyncOutcome<T>(
  run: () => Promise<T>,
  errorClass: ErrorClass,
  codes: readonly string[] = [],
): Promise<T | undefined> {
  try {
    return await run()
  } catch (error) {
    refuseOthers(error, errorClass, codes)
    return undefined
  }
}

function refuseOthers(error: unknown, errorClass: ErrorClass, codes: readonly string[]): void {
  if (!(error instanceof errorClass)) throw error
  const { code } = error as { code?: unknown }
  if (codes.length > 0 && !codes.includes(String(code)))
    throw new Error(`the code ${String(code)} is none of ${codes.join(', ')}`, { cause: error })
  if (error.message.length > 5000) throw new Error(`a message of ${error.message.length} characters`, { cause: error })
}

export { deepStrictEqual as same, ok } from 'node:assert'
