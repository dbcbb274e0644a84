import { component } from '../../test/support/components.ts'
import { programPath } from '../../test/support/longshore.ts'
import { startDistributionV3, startOlareg } from '../../test/support/registries.ts'
import { imageOf } from '../../test/support/repository.ts'
import type { Row } from '../row.ts'
import { median, seconds, time } from './measure.ts'
import { withClient } from './push.ts'

const artifacts = 1_000
const atOnce = 10
const rounds = 3

/** Many small tagged artifacts from one registry to another, each time into a new repository. */
export async function* measureMany(): AsyncGenerator<Row> {
  const [source, target] = [await startDistributionV3(), await startOlareg()]
  await withClient(async (client) => {
    const from = client.repository(`${source.host}/many`)
    for (let at = 0; at < artifacts; at += atOnce) {
      await Promise.all(
        Array.from({ length: atOnce }, (_, next) => imageOf(from, [`layer ${at + next}`], { tags: [`v${at + next}`] })),
      )
    }
  })
  const [ours, theirs]: number[][] = [[], []]
  for (let round = 0; round < rounds; round++) {
    const [from, to] = [`${source.host}/many`, `${target.host}/round-${round}`]
    ours!.push((await time(process.execPath, [programPath, 'copy', from, `${to}/ours`, '--all-tags'])).seconds)
    theirs!.push((await time(component('crane'), ['copy', '--insecure', '-a', from, `${to}/theirs`])).seconds)
  }
  await Promise.all([source.stop(), target.stop()])
  const [own, crane] = [median(ours!), median(theirs!)]
  yield {
    what: `copy of ${artifacts} small tagged artifacts from distribution to olareg`,
    ours: seconds(own),
    beside: `crane copy -a ${seconds(crane)}`,
    goal: '≤ crane',
    holds: own <= crane,
  }
}
