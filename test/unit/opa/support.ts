import { IntegrityError } from '../../../src/lib/errors.ts'

/** The refusal that `run` ends in; fails when it does not. */
export function refusalOf(run: () => unknown): { code: string; file: string | undefined; message: string } {
  try {
    const value = run()
    throw new Error(`not refused: ${JSON.stringify(value)}`)
  } catch (error) {
    if (!(error instanceof IntegrityError)) throw error
    return { code: error.code, file: error.file, message: error.message }
  }
}
