import type { IncomingMessage } from 'node:http'
import { abortable } from '../../content/abortable.ts'
import { collect } from '../../lib/collect.ts'
import { maxBodyBytes } from '../api/api.ts'
import { bodyOf } from '../v2/body.ts'
import { BadWish } from './bad-wish.ts'

/** The whole body, whatever type it is said to have: scripts that use curl say nothing. Throws BadWish where it is too long. */
export async function readText(request: IncomingMessage, signal: AbortSignal): Promise<string> {
  const tooMuch = () => new BadWish(`Error: the body may have ${maxBodyBytes} bytes`)
  return (await collect(abortable(bodyOf(request), signal), maxBodyBytes, tooMuch)).toString('utf8')
}
