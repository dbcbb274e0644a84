import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { tempDir } from './temp.ts'

const folder = join(import.meta.dirname, '../unit/state/versions')

/** Schema versions of which there is a state as that version wrote it; scripts/freeze-state.ts makes the next. */
export const frozenVersions = readdirSync(folder)
  .map((name) => Number(name.replace('.sql', '')))
  .sort((a, b) => a - b)

/** `state.db` as a longshore of that version left it, in a folder of its own. */
export function thaw(version: number, into = tempDir(`version-${version}`)): string {
  const database = new DatabaseSync(join(into, 'state.db'))
  database.exec(readFileSync(join(folder, `${version}.sql`), 'utf8'))
  database.close()
  return into
}

/** The content that the frozen states speak of: bundle `authz` is `layer`, from `policies/authz:latest`. */
const layer = 'the layer of a frozen release\n'
const config = '{}'
export const frozen = {
  contentId: 'content-1',
  layer,
  config,
  manifest:
    '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:de9254d5029df5a6128147924e451e7e683ae29c92cd0b8c81cf24f49ae05eb3","size":30}],"annotations":{"a":"b"}}',
}
