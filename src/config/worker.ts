import { enableCompileCache } from 'node:module'
import { serveTasks } from '../lib/threads.ts'

// The program of the thread that parses.
enableCompileCache()
const { readConfigDocument } = await import('./document.ts')
serveTasks({
  async parse(bytes: Uint8Array) {
    const { value, problems } = readConfigDocument(bytes)
    return { value, problems }
  },
})
