import { compareSync } from 'bcryptjs'

/** Runs in a worker thread: one bcrypt takes from 50 ms up, in JavaScript. */
export default function check({ password, hash }: { password: string; hash: string }): boolean {
  return compareSync(password, hash)
}
