export type Credentials =
  | { scheme: 'none' }
  | { scheme: 'bearer'; token: string }
  | { scheme: 'basic'; user: string; password: string }
  /** There is a header, and it is nothing that we read. */
  | { scheme: 'other' }

const none: Credentials = { scheme: 'none' }

/** An empty Basic counts as none: some clients send it before they know whether they must log in. */
export function readCredentials(header: string | undefined): Credentials {
  if (header === undefined || header === '') return none
  const space = header.indexOf(' ')
  const scheme = (space === -1 ? header : header.slice(0, space)).toLowerCase()
  const value = space === -1 ? '' : header.slice(space + 1).trim()
  if (scheme === 'bearer' && value !== '') return { scheme: 'bearer', token: value }
  if (scheme === 'basic') return readBasic(value)
  return { scheme: 'other' }
}

/** https://www.rfc-editor.org/rfc/rfc7617#section-2: the name ends at the first colon. */
function readBasic(value: string): Credentials {
  const text = Buffer.from(value, 'base64').toString('utf8')
  if (text === '' || text === ':') return none
  const colon = text.indexOf(':')
  if (colon === -1) return { scheme: 'other' }
  return { scheme: 'basic', user: text.slice(0, colon), password: text.slice(colon + 1) }
}
