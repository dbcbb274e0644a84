import { test } from './cases.ts'
import { config } from './config.ts'

test(config)
