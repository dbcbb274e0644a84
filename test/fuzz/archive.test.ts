import { test } from './cases.ts'
import { archive } from './archive.ts'

test(archive)
