import { headerProperties } from './archive/headers.ts'
import { archiveProperties } from './archive/archives.ts'
import type { Group } from './property.ts'

export const archive: Group = {
  files: ['src/artifact/archive.ts', 'src/artifact/names.ts', 'src/artifact/tar-header.ts', 'src/artifact/tar-read.ts'],
  properties: [...headerProperties, ...archiveProperties],
}
