import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execOk } from './exec.ts'
import { tempDir } from './temp.ts'

/** Paths of PEM files. */
export interface Certificates {
  ca: string
  server: { cert: string; key: string }
  client: { cert: string; key: string }
}

/** A CA of its own, a server certificate for 127.0.0.1, ::1, localhost and reg.test, and a client certificate with CN=client. */
export async function createCertificates(dir = tempDir('certs')): Promise<Certificates> {
  const ca = await createCa(dir)
  const [server, client] = await Promise.all([
    issue(
      dir,
      ca,
      'server',
      'extendedKeyUsage=serverAuth\nsubjectAltName=IP:127.0.0.1,IP:::1,DNS:localhost,DNS:reg.test\n',
    ),
    issue(dir, ca, 'client', 'extendedKeyUsage=clientAuth\n'),
  ])
  return { ca: ca.cert, server, client }
}

async function createCa(dir: string): Promise<{ cert: string; key: string }> {
  const paths = { cert: join(dir, 'ca.pem'), key: join(dir, 'ca.key') }
  await openssl(
    dir,
    ...['req', '-x509', '-days', '2', '-subj', '/CN=longshore test CA', ...newKey(paths.key), '-out', paths.cert],
    ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
  )
  return paths
}

async function issue(dir: string, ca: { cert: string; key: string }, name: string, extensions: string) {
  const paths = { cert: join(dir, `${name}.pem`), key: join(dir, `${name}.key`) }
  const request = join(dir, `${name}.csr`)
  const extensionFile = join(dir, `${name}.ext`)
  writeFileSync(extensionFile, `basicConstraints=CA:FALSE\n${extensions}`)
  await openssl(dir, 'req', '-new', '-subj', `/CN=${name}`, ...newKey(paths.key), '-out', request)
  await openssl(
    dir,
    ...['x509', '-req', '-in', request, '-CA', ca.cert, '-CAkey', ca.key, '-days', '2'],
    ...['-set_serial', `0x${Buffer.from(name).toString('hex')}`, '-extfile', extensionFile, '-out', paths.cert],
  )
  return paths
}

function newKey(path: string): string[] {
  return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc', '-keyout', path]
}

async function openssl(cwd: string, ...args: string[]): Promise<void> {
  await execOk('openssl', args, { cwd })
}
