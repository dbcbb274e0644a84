import { test } from './cases.ts'
import { server } from './server.ts'

test(server)
