import { isIP, isIPv6 } from 'node:net'

/** `::ffff:10.0.0.1` is 10.0.0.1 on a socket that takes both. */
function plain(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}

export function isLoopbackAddress(address: string | undefined): boolean {
  if (address === undefined) return false
  const bare = plain(address)
  return bare === '::1' || (bare.startsWith('127.') && isIP(bare) === 4)
}

/** What counts as one place that attempts come from: an IPv4 address, or the /64 that one IPv6 customer has. */
export function sourceOf(address: string | undefined): string {
  if (address === undefined) return 'unknown'
  const bare = plain(address).split('%')[0]!
  return isIPv6(bare) ? `${firstGroups(bare)}::/64` : bare
}

function firstGroups(address: string): string {
  const [head = '', tail] = address.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length
  const groups = [...before, ...new Array<string>(Math.max(0, zeros)).fill('0'), ...after]
  return groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, '').toLowerCase())
    .join(':')
}

/** The name or address of a `Host` header or an origin's host, without port and brackets, in lower case. */
export function hostName(host: string): string {
  if (host.startsWith('[')) return host.slice(1, Math.max(1, host.indexOf(']'))).toLowerCase()
  const colon = host.lastIndexOf(':')
  return (colon === -1 ? host : host.slice(0, colon)).toLowerCase().replace(/\.$/, '')
}
