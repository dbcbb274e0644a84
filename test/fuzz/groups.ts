import { archive } from './archive.ts'
import { config } from './config.ts'
import { oci } from './oci.ts'
import { opa } from './opa.ts'
import type { Group } from './property.ts'
import { server } from './server.ts'

export const groups: Record<string, Group> = { archive, config, oci, opa, server }
