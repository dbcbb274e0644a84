import { readFileSync } from 'node:fs'

export interface Step {
  keyword: string
  /** Without the keyword; continued lines are joined. */
  text: string
}

/** The steps of a Dockerfile, stage by stage; each stage begins with its FROM. */
export function readDockerfile(path: string): Step[][] {
  const steps = readFileSync(path, 'utf8')
    .replaceAll('\\\n', ' ')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [keyword = '', ...rest] = line.split(/\s+/)
      return { keyword, text: rest.join(' ') }
    })
  const stages: Step[][] = []
  for (const step of steps) {
    if (step.keyword === 'FROM') stages.push([])
    stages.at(-1)?.push(step)
  }
  return stages
}

export function stepsOf(stage: Step[], keyword: string): string[] {
  return stage.filter((step) => step.keyword === keyword).map((step) => step.text)
}

/** `CMD ["a", "b"]` and what follows `HEALTHCHECK … CMD`. */
export function execForm(text: string): string[] {
  return JSON.parse(text.slice(text.indexOf('['))) as string[]
}
