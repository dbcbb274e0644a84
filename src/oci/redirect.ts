import { RemoteError } from '../lib/errors.ts'
import { bareAddress, isLoopbackHost } from './reference.ts'

/**
 * Where a server may send us from `from`. Throws RemoteError `redirect` for a way that would take off the encryption, or that
 * lets a server on the network reach services that only this machine can reach. `what` and `host` are for the message.
 */
export function nextHop(from: URL, location: string | undefined, { host, what }: { host: string; what: string }): URL {
  const refuse = (why: string) => new RemoteError('redirect', `cannot ${what}: ${host} redirects ${why}`, { host })
  if (location === undefined || location === '') throw refuse('to nowhere: its answer has no Location')
  let to: URL
  try {
    to = new URL(location, from)
  } catch {
    throw refuse('to something that is no URL')
  }
  if (to.protocol !== 'http:' && to.protocol !== 'https:') throw refuse(`to ${to.protocol}, which is not HTTP`)
  if (from.protocol === 'https:' && to.protocol === 'http:') throw refuse(`from HTTPS to plain HTTP (${to.host})`)
  if (isInward(from, to)) throw refuse(`to ${to.host}, an address of this machine`)
  // Nobody else may choose as whom we log in.
  to.username = ''
  to.password = ''
  to.hash = ''
  return to
}

/** Loopback, unspecified and link-local addresses, where clouds keep their metadata services, named by somebody who is not there. */
export function isInward(from: URL, to: URL): boolean {
  return from.host !== to.host && isLocalAddress(to.hostname) && !isLocalAddress(from.hostname)
}

function isLocalAddress(hostname: string): boolean {
  const bare = bareAddress(hostname)
  return (
    isLoopbackHost(hostname) ||
    bare === '0.0.0.0' ||
    bare === '::' ||
    bare.startsWith('169.254.') ||
    /^fe[89ab][0-9a-f]:/.test(bare)
  )
}
