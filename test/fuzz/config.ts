import { documentProperties } from './config/documents.ts'
import { fileProperties } from './config/files.ts'
import { substitutionProperties } from './config/substitution.ts'
import { unitProperties } from './config/units.ts'
import { scheduleProperties } from './config/schedules.ts'
import { addressProperties } from './config/addresses.ts'
import { templateProperties } from './config/templates.ts'
import type { Group } from './property.ts'

export const config: Group = {
  files: [
    'src/config/document.ts',
    'src/config/substitute.ts',
    'src/config/parse.ts',
    'src/config/json.ts',
    'src/config/syntax.ts',
    'src/config/known-keys.ts',
    'src/config/misnamed.ts',
    'src/config/rest.ts',
    'src/config/issues.ts',
    'src/config/schema/server.ts',
    'src/config/schema/bundles.ts',
    'src/config/schema/registries.ts',
    'src/config/problems.ts',
    'src/lib/units.ts',
    'src/lib/schema.ts',
    'src/lib/schedule.ts',
    'src/lib/template.ts',
  ],
  properties: [
    ...documentProperties,
    ...fileProperties,
    ...substitutionProperties,
    ...unitProperties,
    ...scheduleProperties,
    ...templateProperties,
    ...addressProperties,
  ],
}
