/**
 * Where in OPA's tree conftest's data files belong. conftest loads each file of a `--data` folder at its place *below
 * that folder*, whatever its name (`data/teams/x.yaml` at `data.teams`), but pushes titles with the folder's own name in
 * front and does not say how long that is. So: the folder that holds everything pushed comes off; where policies and
 * data were pushed from two folders beside each other (`--policy policy --data data`), the data's comes off too.
 * Returns one folder for each of `data`, `''` for the top.
 */
export function placeDocuments(policies: readonly string[], data: readonly string[]): string[] {
  const policyFolders = policies.map(foldersOf)
  const dataFolders = data.map(foldersOf)
  const common = commonFront([...policyFolders, ...dataFolders])
  const first = new Set(dataFolders.map((folders) => folders[common]))
  const [dataTop] = first
  const apart =
    policies.length > 0 &&
    first.size === 1 &&
    dataTop !== undefined &&
    policyFolders.every((folders) => folders[common] !== undefined && folders[common] !== dataTop)
  return dataFolders.map((folders) => folders.slice(apart ? common + 1 : common).join('/'))
}

function foldersOf(path: string): string[] {
  return path.split('/').slice(0, -1)
}

/** How many parts all have in common at the front. */
function commonFront(paths: readonly string[][]): number {
  const [first = [], ...rest] = paths
  const end = first.findIndex((part, at) => rest.some((path) => path[at] !== part))
  return end === -1 ? first.length : end
}
