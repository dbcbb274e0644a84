import type { IncomingMessage } from 'node:http'
import { abortable } from '../../content/abortable.ts'
import { maxBodyBytes } from '../api/api.ts'
import { bodyOf } from '../v2/body.ts'
import { BadWish } from './bad-wish.ts'

/** The whole body, whatever type it is said to have: scripts that use curl say nothing. Throws BadWish where it is too long. */
export async function readText(request: IncomingMessage, signal: AbortSignal): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of abortable(bodyOf(request), signal)) {
    size += chunk.length
    if (size > maxBodyBytes) throw new BadWish(`Error: the body may have ${maxBodyBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
