/** What grows with the square of its input, or worse, takes seconds for these. */
export function cpuMsOf(run: () => unknown): number {
  const before = process.threadCpuUsage()
  run()
  const { user, system } = process.threadCpuUsage(before)
  return (user + system) / 1000
}
