// node bare.ts PORT, then PATH ETAG FILE for each that is served: node:http with nothing around it, and our answers.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'

const [port, ...rest] = process.argv.slice(2)
const blobs = new Map<string, { etag: string; bytes: Buffer; full: string[]; same: string[] }>()
for (let at = 0; at + 2 < rest.length; at += 3) {
  const [path, etag, file] = rest.slice(at) as [string, string, string]
  const bytes = readFileSync(file)
  const same = ['ETag', etag, 'Cache-Control', 'no-cache', 'Vary', 'Prefer']
  const full = [...same, 'Content-Length', String(bytes.length), 'Content-Type', 'application/gzip']
  blobs.set(path, { etag, bytes, full, same })
}

createServer((request, response) => {
  const blob = blobs.get(request.url!)
  if (blob === undefined) response.writeHead(404).end()
  else if (request.headers['if-none-match'] === blob.etag) response.writeHead(304, blob.same).end()
  else response.writeHead(200, blob.full).end(blob.bytes)
}).listen(Number(port), '127.0.0.1')
