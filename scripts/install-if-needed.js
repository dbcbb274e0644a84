// Brings node_modules to what package-lock.json says, and with it the Node that everything else here runs on.
// Plain JavaScript, so that whatever Node runs npm can run it too.
import { spawnSync } from 'child_process'
import { existsSync, readFileSync } from 'fs'
import { delimiter, dirname, join, resolve } from 'path'
import { fileURLToPath } from 'url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

if (!isInstalled()) install()
checkNode()

/** npm writes node_modules/.package-lock.json last, so an interrupted installation has none. */
function isInstalled() {
  const wanted = packagesIn(join(root, 'package-lock.json'))
  const present = packagesIn(join(root, 'node_modules', '.package-lock.json'))
  const missing = Object.keys(wanted).filter((path) => path !== '' && !isSame(wanted[path], present[path]))
  const extra = Object.keys(present).filter((path) => !(path in wanted))
  return missing.length === 0 && extra.length === 0
}

function packagesIn(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages
  } catch (error) {
    if (error.code === 'ENOENT') return {}
    throw error
  }
}

function isSame(wanted, present) {
  // Optional packages are left out on the platforms that they are not for.
  if (present === undefined) return wanted.optional === true && !isOurNode(wanted)
  return present.version === wanted.version && present.integrity === wanted.integrity
}

function isOurNode(entry) {
  const bin = entry.bin || {}
  return 'node' in bin && [].concat(entry.os).includes(process.platform) && [].concat(entry.cpu).includes(process.arch)
}

function install() {
  console.log('Installing dependencies as package-lock.json says: npm ci')
  const { status, error } = spawnSync('npm', ['ci', '--loglevel=error', '--no-audit', '--no-fund'], {
    cwd: root,
    // Not the Node in node_modules: npm ci removes it while it runs.
    env: Object.assign({}, process.env, { PATH: pathWithoutNodeModules() }),
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  })
  if (status === 0) return
  console.error('npm ci failed' + (error ? ': ' + error.message : '') + '; see above')
  process.exit(1)
}

function pathWithoutNodeModules() {
  const parts = (process.env.PATH || '').split(delimiter)
  return parts.filter((part) => !resolve(part).startsWith(join(root, 'node_modules'))).join(delimiter)
}

function checkNode() {
  if (existsSync(join(root, 'node_modules', '.bin', 'node')) || isNewEnough(process.versions.node)) return
  console.error(
    'longshore needs Node 24.15 or newer. npm brings one on Linux (x64, arm64) only; this is Node ' +
      process.versions.node +
      ' on ' +
      process.platform +
      ' ' +
      process.arch +
      ': install a newer Node and try again.',
  )
  process.exit(1)
}

function isNewEnough(version) {
  const parts = version.split('.').map(Number)
  return parts[0] > 24 || (parts[0] === 24 && parts[1] >= 15)
}
