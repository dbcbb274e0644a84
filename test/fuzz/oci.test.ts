import { test } from './cases.ts'
import { oci } from './oci.ts'

test(oci)
