import { compare } from 'bcryptjs'
import { serveTasks } from '../../lib/threads.ts'

// One bcrypt takes from 50 ms up, in JavaScript.

serveTasks({
  compare: ({ password, hash }: { password: string; hash: string }) => compare(password, hash),
})
