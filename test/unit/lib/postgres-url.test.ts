import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../../src/lib/errors.ts'
import { parsePostgresUrl } from '../../../src/lib/postgres-url.ts'

const nothing = { ca: undefined, cert: undefined, key: undefined, applicationName: undefined }
const local = { host: 'localhost', port: 5432, user: undefined, password: undefined, database: undefined }

describe('the address of a Postgres', () => {
  it.each([
    ['postgres://ann@db.example.com/longshore', { host: 'db.example.com', user: 'ann', database: 'longshore' }],
    [
      'postgresql://ann:p%40ss%2Fword@[::1]:6432/a%20b',
      { host: '::1', port: 6432, user: 'ann', password: 'p@ss/word', database: 'a b' },
    ],
    ['postgres://', {}],
    ['postgres:///longshore', { database: 'longshore' }],
    [
      'postgres:///longshore?host=/run/postgresql&user=ann',
      { host: '/run/postgresql', user: 'ann', database: 'longshore' },
    ],
    [
      'postgres://ann:word@/longshore?host=/run/postgresql&port=5433',
      { host: '/run/postgresql', port: 5433, user: 'ann', password: 'word', database: 'longshore' },
    ],
    ['postgres://%2Frun%2Fpostgresql/longshore', { host: '/run/postgresql', database: 'longshore' }],
    [
      'postgres://h/d?sslmode=verify-full&sslrootcert=/ca.pem',
      { host: 'h', database: 'd', sslmode: 'verify-full', ca: '/ca.pem' },
    ],
    [
      'postgres://h/d?sslmode=require&sslcert=/c.pem&sslkey=/k.pem',
      { host: 'h', database: 'd', sslmode: 'require', cert: '/c.pem', key: '/k.pem' },
    ],
    ['postgres://h/d?application_name=edge', { host: 'h', database: 'd', applicationName: 'edge' }],
  ])('%s', (text, said) => {
    expect(parsePostgresUrl(text)).toEqual({ ...nothing, ...local, sslmode: undefined, ...said })
  })

  it.each([
    ['mysql://ann:secret-word@h/d', /begin with postgres:/],
    ['postgres://ann:secret-word@h:port/d', /cannot be read/],
    ['postgres://ann:secret-word@h/d?sslmode=prefer', /its sslmode is none of disable, require/],
    ['postgres://ann:secret-word@h/d?pool=3', /a parameter `pool`/],
    ['postgres://ann:secret-word@h/d?port=x', /its port is no number/],
    ['postgres://ann:sec#ret-word@h/d', /cannot be read|no address/],
  ])('%s is none, and what is said of it has no password', (text, message) => {
    let error: unknown
    try {
      parsePostgresUrl(text)
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(ConfigError)
    expect((error as ConfigError).message).toMatch(message)
    expect(`${(error as ConfigError).message} ${(error as ConfigError).hint}`).not.toMatch(/secret|ret-word/)
  })
})
