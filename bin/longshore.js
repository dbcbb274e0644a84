#!/usr/bin/env node
// Plain JavaScript that any Node can parse: says plainly when the Node that runs it is too old, and hands over to
// the one that npm brought if there is one.
var path = require('path')
var fs = require('fs')

var oldest = [24, 15]
var running = process.versions.node.split('.').map(Number)
var root = path.join(__dirname, '..')
var handedOver = 'LONGSHORE_HANDED_OVER'

function isNewEnough(version) {
  return version[0] > oldest[0] || (version[0] === oldest[0] && version[1] >= oldest[1])
}

function findBroughtNode() {
  var name = 'node-' + process.platform + '-' + process.arch
  var file = path.join(root, 'node_modules', name, 'bin', 'node')
  return fs.existsSync(file) ? file : undefined
}

function handOver(node) {
  var environment = Object.assign({}, process.env)
  environment[handedOver] = 'yes'
  var child = require('child_process').spawn(node, [__filename].concat(process.argv.slice(2)), {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: environment,
  })
  ;['SIGINT', 'SIGTERM', 'SIGHUP'].forEach(function (signal) {
    process.on(signal, function () {
      child.kill(signal)
    })
  })
  child.on('exit', function (code, signal) {
    if (signal) process.kill(process.pid, signal)
    else process.exit(code)
  })
}

// kill -9 leaves the one who handed over no time to pass anything on: without it nobody would know of the child, which would hold
// port and folder against the next start.
function endWithParent() {
  delete process.env[handedOver]
  process.on('disconnect', function () {
    process.kill(process.pid, 'SIGTERM')
  })
  process.channel.unref()
}

function refuse() {
  process.stderr.write(
    'longshore needs Node ' +
      oldest.join('.') +
      ' or newer; this is ' +
      process.versions.node +
      '.\nRun `npm ci` in ' +
      root +
      ' (on Linux it brings a Node along), or install a current Node LTS.\n',
  )
  process.exit(2)
}

if (isNewEnough(running)) {
  if (process.env[handedOver] && process.channel) endWithParent()
  // The young generation is collected in a tenth of a millisecond: to wake other threads for that costs more than they help. Said
  // before anything is compiled: the compile cache is of one set of flags.
  require('v8').setFlagsFromString('--no-parallel-scavenge')
  require('module').enableCompileCache()
  import('../src/main.ts')
} else {
  var brought = findBroughtNode()
  if (brought) handOver(brought)
  else refuse()
}
