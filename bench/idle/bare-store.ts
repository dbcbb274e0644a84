import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import { collectAll } from '../../src/lib/heap.ts'

const database = new DatabaseSync(workerData as string)
database.exec('pragma journal_mode = wal; create table things (name text primary key, value text) strict')
const insert = database.prepare('insert into things values (?, ?)')
for (let at = 0; at < 1_000; at++) insert.run(`thing-${at}`, 'x'.repeat(200))
collectAll()
// It stays, as longshore's does.
parentPort!.on('message', () => undefined)
