/** `*` stands for any characters, `/` and `.` too. */
export function compileGlob(pattern: string): RegExp {
  return new RegExp(`^${pattern.split('*').map(RegExp.escape).join('.*')}$`)
}
