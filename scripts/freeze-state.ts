// node scripts/freeze-state.ts: writes test/unit/state/versions/N.sql for the newest migration, from what it makes of the frozen
// state before it. Then add a row for each new table by hand. A file that is there is never written again: it is what people have.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { migrate, migrations } from '../src/state/migrations/migrate.ts'
import { openDatabase } from '../src/state/sqlite/database.ts'
import { dumpDatabase } from '../test/support/dump.ts'
import { removeTempDirs, tempDir } from '../test/support/temp.ts'

const folder = join(import.meta.dirname, '../test/unit/state/versions')
const newest = migrations.at(-1)!.version
const target = join(folder, `${newest}.sql`)
if (existsSync(target)) console.log(`${target} is there already`)
else {
  const { raw, kysely } = openDatabase(join(tempDir('freeze'), 'state.db'))
  raw.exec(readFileSync(join(folder, `${newest - 1}.sql`), 'utf8'))
  await migrate(kysely, 'state.db')
  writeFileSync(target, dumpDatabase(raw))
  raw.close()
  console.log(`wrote ${target}`)
}
removeTempDirs()
