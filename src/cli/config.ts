import type { Config } from '../config/config.ts'
import { jsonSchema } from '../config/schema.ts'
import { counted } from '../lib/units.ts'
import type { AddCommand } from './command.ts'
import { addConfigOption, addExamples, type ConfigOption } from './options.ts'
import { readConfig } from './read-config.ts'

export const addConfig: AddCommand = (program, context) => {
  const { output } = context
  const command = program
    .command('config')
    .summary('check the config, or print its JSON Schema')
    .description('Check the config, or print the JSON Schema of it.')

  const check = command
    .command('check')
    .description('Read the config as `serve` would, and say everything that is wrong with it.')
    .argument('[file]', 'the config (else --config, LONGSHORE_CONFIG, ./longshore.yaml)')
    .action(async (file: string | undefined, options: ConfigOption) => {
      const config = await readConfig(context, file ?? options.config)
      const found = `${counted(config.bundles.length, 'bundle')}, ${counted(Object.keys(config.deployers).length, 'deployer')}`
      const { file: path } = config
      const idle = idleOf(config)
      output.result(
        {
          file: path,
          ok: true,
          bundles: config.bundles.map(({ name }) => name),
          deployers: Object.keys(config.deployers),
          idle,
        },
        path === null
          ? 'no config file: the defaults hold'
          : [`${path}: fine (${found})`, ...idle.map((key) => `${key} is named by no bundle`)],
      )
    })
  addExamples(addConfigOption(check), 'config check longshore.yaml')

  const schema = command
    .command('schema')
    .description('Print the JSON Schema of the config file, for editors.')
    .action(() => {
      const document = jsonSchema()
      output.result(document, JSON.stringify(document, undefined, 2))
    })
  addExamples(schema, 'config schema > longshore.schema.json')
}

/** What is configured and of no use to any bundle: `publishers.events`. */
function idleOf(config: Config): string[] {
  const { bundles } = config
  const named = {
    deployers: bundles.flatMap(({ deploy }) => deploy.map(({ to }) => to)),
    publishers: bundles.flatMap(({ publish }) => publish),
    webhooks: bundles.flatMap(({ webhooks }) => webhooks),
  }
  return (['deployers', 'publishers', 'webhooks'] as const).flatMap((kind) => {
    const idle = Object.keys(config[kind]).filter((name) => !named[kind].includes(name))
    return idle.map((name) => `${kind}.${name}`)
  })
}
