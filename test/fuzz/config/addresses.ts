import fc from 'fast-check'
import { parseServer } from '../../../src/cli/server-address.ts'
import { parseListen } from '../../../src/config/schema/server.ts'
import { ConfigError } from '../../../src/lib/errors.ts'
import { pumped } from '../mutate/pumped.ts'
import { hostileText } from '../mutate/text.ts'
import { ok, outcome, property } from '../property.ts'

const listens = fc.constantFrom('127.0.0.1:8085', '[::1]:0', 'host.example:443')
const servers = fc.constantFrom('http://127.0.0.1:8085', 'https://policy.example.com/x/', 'https://u:p@h/')

export const addressProperties = [
  property('addresses to listen on', hostileText(listens, ['[', ']', ':', '::', '65535', '65536', '/']), (text) => {
    const found = parseListen(text)
    if (found !== undefined)
      ok(found.host !== '' && Number.isInteger(found.port) && found.port >= 0 && found.port <= 65_535)
  }),
  property('URLs of servers', hostileText(servers, ['http://', '@', ':', '/', '//', '?', '#', '[::1]']), (text) => {
    const url = outcome(() => parseServer(text), ConfigError, ['usage'])
    if (url !== undefined) ok(/^https?:\/\/[^/@?#]+/.test(url) && !url.endsWith('/') && parseServer(url) === url)
  }),
  property('long addresses', pumped(fc.oneof(listens, servers), ['[', ':', 'http://a', '/', '@', '1']), (text) => {
    parseListen(text)
    for (const url of [text, `http://h/${text}`]) outcome(() => parseServer(url), ConfigError, ['usage'])
  }),
]
