import { test } from './cases.ts'
import { opa } from './opa.ts'

test(opa)
