import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { formatProblems } from '../../../src/config/problems.ts'
import { tempDir } from '../../support/temp.ts'
import { load, problems } from './load-text.ts'

const file = 'longshore.yaml'
const remote = 'store: { type: oci, repository: ghcr.io/acme/policies }'
const local = 'store: { type: local, repository: policies/authz }'

/** A bundle `authz` whose further keys are on line 4. */
const authz = (keys: string, store = remote) => `bundles:\n  authz:\n    ${store}\n    ${keys}\n`

/** Each text has exactly this one problem. */
const single: [name: string, text: string, problem: object][] = [
  [
    'unknown key of the file',
    'sever: {}\n',
    { line: 1, key: 'sever', message: 'unknown key `sever`: did you mean `server`?' },
  ],
  [
    'a publisher that nobody knows',
    `publishers: { events: { type: http, url: "https://x.example/" } }\n${authz('publish: [event]')}`,
    { line: 5, key: 'bundles.authz.publish.0', message: 'there is no publisher `event`: did you mean `events`?' },
  ],
  [
    'a webhook that nobody knows',
    authz('webhooks: [hub]'),
    { line: 4, key: 'bundles.authz.webhooks.0', message: 'there is no webhook `hub`: nothing is known here' },
  ],
  [
    'a publisher that is named twice',
    `publishers: { events: { type: http, url: "https://x.example/" } }\n${authz('publish: [events, events]')}`,
    { line: 5, key: 'bundles.authz.publish.1', message: '`events` is named twice' },
  ],
  [
    'a URL of Slack, which is not shown',
    'publishers:\n  ops:\n    type: slack\n    url: hooks.slack.com/services/T0/B0/hunter2\n',
    {
      ...{ line: 4, key: 'publishers.ops.url' },
      message: 'expected a URL such as https://hooks.slack.com/services/…, or { file: path }',
    },
  ],
  [
    'a webhook without proof',
    'webhooks:\n  hub: { type: registry }\n',
    { line: 2, key: 'webhooks.hub', message: 'expected exactly one of token, hmac and url_token' },
  ],
  [
    'unknown key of a bundle',
    authz('folow: latest'),
    { line: 4, key: 'bundles.authz.folow', message: 'unknown key `folow`: did you mean `follow`?' },
  ],
  [
    'unknown key of a store, in place',
    `bundles:\n  authz:\n    store:\n      type: oci\n      repository: ghcr.io/a/b\n      user_name: x\n`,
    { line: 6, key: 'bundles.authz.store.user_name', message: 'unknown key `user_name`: did you mean `username`?' },
  ],
  [
    'unknown key far from any',
    'opa:\n  zebra: 1\n',
    { line: 2, key: 'opa.zebra', message: 'unknown key `zebra`: known: `path`' },
  ],
  [
    'a key of another type of store',
    'stores:\n  here:\n    type: local\n    repository: a/b\n    plain_http: true\n',
    { line: 5, key: 'stores.here.plain_http', message: 'unknown key `plain_http`: known: `type`, `repository`' },
  ],
  [
    'a key that is not built',
    authz('parts: []'),
    { line: 4, key: 'bundles.authz.parts', message: expect.stringContaining('unknown key `parts`') },
  ],
  ...['aliases: [/a]', 'kind: files', 'keep: 3', 'limits: {}'].map((keys): (typeof single)[number] => [
    `${keys} where nothing is pulled`,
    authz(`pull: false\n    ${keys}`),
    {
      line: 5,
      key: `bundles.authz.${keys.split(':')[0]}`,
      message: 'says nothing where nothing is pulled: `authz` has pull: false',
      hint: 'Leave it out, or let the bundle be pulled.',
    },
  ]),
  ...(
    [
      ['{ config.image: "{repo}:{version}" }', '.config.image', 'nothing is known as {repo} (known: `repository`'],
      ['{ config.image: "{versoin}" }', '.config.image', 'nothing is known as {versoin} (did you mean `version`?)'],
      ['{ VERSION: v }', '.VERSION', 'expected a path in the task, such as config.image, env.VERSION or meta.version'],
      ['{}', '', 'expected at least one path and its value'],
    ] as const
  ).map(([set, key, message]): (typeof single)[number] => [
    `a job that gets ${set}`,
    `deployers:\n  there:\n    type: nomad\n    job: web\n    task: server\n    set: ${set}\n`,
    { line: 6, key: `deployers.there.set${key}`, message: expect.stringContaining(message) },
  ]),
  ...(
    [
      ['"{versoin}"', '.0', 'nothing is known as {versoin} (did you mean `version`?)'],
      ['"not a tag"', '.0', 'expected a tag such as latest, prod-{version} or {major}.{minor}'],
      ['"{major}", "{major}.{minor}"', '', 'expected at least one tag that every release has'],
    ] as const
  ).map(([tags, key, message]): (typeof single)[number] => [
    `a place with the tags ${tags}`,
    `deployers:\n  there:\n    type: oci\n    repository: registry.test/a\n    tags: [${tags}]\n`,
    { line: 5, key: `deployers.there.tags${key}`, message: expect.stringContaining(message) },
  ]),
  [
    'a URL with a word that is none',
    'deployers:\n  there:\n    type: http\n    url: https://deploy.example/{bundel}\n',
    {
      line: 4,
      key: 'deployers.there.url',
      message: 'nothing is known as {bundel} (did you mean `bundle`?), got `https://deploy.example/{bundel}`',
    },
  ],
  [
    'a job that would get a repository which there is not',
    `${authz('deploy:\n      - to: there', local)}deployers: { there: { type: nomad, job: web, task: server } }\n`,
    {
      line: 5,
      key: 'bundles.authz.deploy.0.to',
      message:
        '`there` sets config.image to a {repository}, and the store of `authz` is of type local, which has none that Nomad could ask',
      hint: 'Write the repository as it is in `set`, or let the bundle come from a store of type oci.',
    },
  ],
  [
    'a job that would get the repository of a pulled bundle, promoted',
    [
      `bundles:\n  a: { ${remote} }\n  b:\n    store: { type: bundle, from: a }\n    deploy:\n      - to: there\n`,
      'deployers: { there: { type: nomad, job: web, task: server } }\n',
    ].join(''),
    {
      line: 6,
      key: 'bundles.b.deploy.0.to',
      message: expect.stringContaining('is of type bundle'),
      hint: expect.any(String),
    },
  ],
  [
    'two bundles in one task',
    [
      `bundles:\n  a: { ${remote}, deploy: [{ to: one }] }\n  b:\n    ${remote}\n    deploy:\n      - to: two\n`,
      'deployers:\n  one: { type: nomad, job: web, task: server }\n  two: { type: nomad, job: web, task: server }\n',
    ].join(''),
    { line: 6, key: 'bundles.b.deploy.0.to', message: '`two` would overwrite what bundle `a` sets in the same task' },
  ],
  ...(
    [
      ['type: directory, root: /zones', 'is a directory, which is to hold the files'],
      ['type: command, command: [put], file: true', 'gets the bundle as a file (file: true)'],
      ['type: http, url: "https://a.example/", body: bundle', 'is sent the bundle itself (body: bundle)'],
    ] as const
  ).map(([place, why]): (typeof single)[number] => [
    `a place that ${why} where nothing is pulled`,
    `${authz('pull: false\n    deploy:\n      - to: there')}deployers: { there: { ${place} } }\n`,
    {
      line: 6,
      key: 'bundles.authz.deploy.0.to',
      message: `\`there\` ${why}, and nothing is pulled of \`authz\` (pull: false)`,
      hint: 'Let it be pulled, or deploy to places that fetch it by themselves.',
    },
  ]),
  [
    'version written as a number',
    authz('follow: 1.10'),
    {
      line: 4,
      key: 'bundles.authz.follow',
      message: 'expected a tag such as latest, a digest sha256:…, { semver } or { pattern, order }, got `1.10`',
      hint: 'Quote it: follow: "1.10"',
    },
  ],
  [
    'half a digest',
    authz('follow: "sha256:abc"'),
    {
      line: 4,
      key: 'bundles.authz.follow',
      message: 'expected a tag such as latest, a digest sha256:…, { semver } or { pattern, order }, got `sha256:abc`',
    },
  ],
  [
    'a range written as a number',
    authz('follow: { semver: 1.10 }'),
    {
      line: 4,
      key: 'bundles.authz.follow.semver',
      message: 'expected text, got `1.10`',
      hint: 'Quote it: semver: "1.10"',
    },
  ],
  [
    'what is no range',
    authz('follow: { semver: newest }'),
    {
      line: 4,
      key: 'bundles.authz.follow.semver',
      message: 'not a range of versions: "newest". Write it as npm does: ^1.2, ~1.2.3, >=1.0.0 <2, 1.x, or * for any',
    },
  ],
  [
    'what is no regular expression',
    authz('follow: { pattern: "^(a", order: semver }'),
    {
      line: 4,
      key: 'bundles.authz.follow.pattern',
      message: expect.stringContaining('not a regular expression: "^(a". Patterns are RE2, such as'),
    },
  ],
  [
    'lookaround in a pattern',
    authz('follow: { pattern: "^(?!a)", order: semver }'),
    {
      line: 4,
      key: 'bundles.authz.follow.pattern',
      message: expect.stringContaining('Patterns are RE2: they have neither lookaround nor references'),
    },
  ],
  [
    'two groups in a pattern',
    authz('follow: { pattern: "(?<a>.)(?<b>.)", order: semver }'),
    {
      line: 4,
      key: 'bundles.authz.follow.pattern',
      message: expect.stringContaining('more than one named group: a, b'),
    },
  ],
  [
    'a group where nothing of the tag is ordered',
    authz('follow: { pattern: "(?<a>.)", order: created }'),
    { line: 4, key: 'bundles.authz.follow.pattern', message: expect.stringContaining('order: created') },
  ],
  [
    'a pattern without an order',
    authz('follow: { pattern: "^prod-" }'),
    {
      line: 4,
      key: 'bundles.authz.follow.order',
      message: 'missing: expected semver, numeric, alphabetical, created',
    },
  ],
  [
    'an order that is none',
    authz('follow: { pattern: "^prod-", order: newest }'),
    {
      line: 4,
      key: 'bundles.authz.follow.order',
      message: 'expected semver, numeric, alphabetical or created, got `newest`',
    },
  ],
  [
    'a range and a pattern',
    authz('follow: { semver: "*", pattern: "^prod-" }'),
    { line: 4, key: 'bundles.authz.follow', message: 'expected either semver, or pattern and order' },
  ],
  [
    'neither a range nor a pattern',
    authz('follow: { prerelease: true }'),
    { line: 4, key: 'bundles.authz.follow', message: 'expected either semver, or pattern and order' },
  ],
  [
    'prereleases of a pattern',
    authz('follow: { pattern: "^prod-", order: semver, prerelease: true }'),
    { line: 4, key: 'bundles.authz.follow.prerelease', message: expect.stringContaining('goes with semver') },
  ],
  [
    'an order of a range',
    authz('follow: { semver: "*", order: created }'),
    { line: 4, key: 'bundles.authz.follow.order', message: expect.stringContaining('goes with a pattern') },
  ],
  [
    'an unknown key in it',
    authz('follow: { semver: "*", prerelase: true }'),
    { line: 4, key: 'bundles.authz.follow.prerelase', message: 'unknown key `prerelase`: did you mean `prerelease`?' },
  ],
  [
    'text that is a number',
    `stores:\n  here:\n    type: oci\n    repository: ghcr.io/a/b\n    password: x\n    username: 1234\n`,
    { line: 6, key: 'stores.here.username', message: 'expected text, got `1234`', hint: 'Quote it: username: "1234"' },
  ],
  [
    'bad choice',
    authz('kind: opaa'),
    {
      line: 4,
      key: 'bundles.authz.kind',
      message: 'expected opa or files, got `opaa`',
      hint: 'Did you mean `opa`?',
    },
  ],
  [
    'bad duration',
    'server:\n  limits:\n    wait_max: 55\n',
    {
      line: 3,
      key: 'server.limits.wait_max',
      message: 'expected a duration such as 500ms, 30s, 5m or 1h, got `55`',
    },
  ],
  [
    'no duration at all',
    'server:\n  shutdown_timeout: 0s\n',
    {
      line: 2,
      key: 'server.shutdown_timeout',
      message: 'expected a duration such as 500ms, 30s, 5m or 1h, more than 0, got `0s`',
    },
  ],
  [
    'bad size',
    'server:\n  limits:\n    max_blob: 2GB\n',
    {
      line: 3,
      key: 'server.limits.max_blob',
      message: 'expected a size such as 512B, 64KiB, 10MiB or 2GiB, got `2GB`',
    },
  ],
  [
    'manifests larger than clients take',
    'server:\n  limits:\n    max_manifest: 5MiB\n',
    {
      line: 3,
      key: 'server.limits.max_manifest',
      message: 'expected at most 4MiB, which is what clients take, got `5MiB`',
    },
  ],
  [
    'number out of range',
    authz('keep: 0'),
    { line: 4, key: 'bundles.authz.keep', message: 'expected at least 1, got `0`' },
  ],
  [
    'fraction',
    authz('keep: 1.5'),
    { line: 4, key: 'bundles.authz.keep', message: 'expected a whole number, got `1.5`' },
  ],
  ['list where a mapping is due', 'bundles: []\n', { line: 1, key: 'bundles', message: 'expected a mapping' }],
  [
    'nothing where a list is due',
    authz('deploy:'),
    { line: 4, key: 'bundles.authz.deploy', message: 'expected a list, got nothing' },
  ],
  [
    'bad listen',
    'server:\n  listen: 127.0.0.1\n',
    {
      line: 2,
      key: 'server.listen',
      message: expect.stringMatching(/^expected host:port such as 127.0.0.1:8085.*got `127.0.0.1`$/),
    },
  ],
  [
    'port out of range',
    'server:\n  listen: 127.0.0.1:70000\n',
    { line: 2, key: 'server.listen', message: expect.stringContaining('expected host:port') },
  ],
  [
    'public_url with a path',
    'server:\n  public_url: http://localhost:8085/policies\n',
    { line: 2, key: 'server.public_url', message: expect.stringContaining('without a path') },
  ],
  [
    'an origin with a path',
    'server:\n  cors_origins: [https://watcher.example.com/repos]\n',
    { line: 2, key: 'server.cors_origins.0', message: expect.stringContaining('without a path') },
  ],
  [
    'public_url beyond this machine without access',
    'server:\n  public_url: https://policy.example.com\n',
    {
      line: 2,
      key: 'server.public_url',
      message: expect.stringContaining('needs server.access'),
      hint: 'Say who may do what, for example access: { anonymous: read }',
    },
  ],
  [
    'a state that is not built',
    'state:\n  type: mysql\n',
    { line: 2, key: 'state.type', message: 'expected sqlite or postgres, got `mysql`' },
  ],
  [
    'a database without an address',
    'state:\n  type: postgres\n',
    { line: 1, key: 'state.url', message: 'missing: expected text or { file: path }' },
  ],
  [
    'an address of another database, with a password',
    'state:\n  type: postgres\n  url: mysql://a:secret-word@b/c\n',
    {
      line: 3,
      key: 'state.url',
      message: 'expected the address of a database: no address of a Postgres: it has to begin with postgres://',
    },
  ],
  [
    'an address of a database that is a list',
    'state:\n  type: postgres\n  url: [postgres://a:secret-word@b/c]\n',
    { line: 3, key: 'state.url', message: 'expected text or { file: path }' },
  ],
  [
    'a lease that is over before it is renewed',
    'state:\n  type: postgres\n  url: postgres://a/b\n  lease: { duration: 3s }\n',
    { line: 4, key: 'state.lease.duration', message: expect.stringContaining('at least twice as long as `renew`') },
  ],
  [
    'bad grant',
    'server:\n  access:\n    tokens:\n      ci:\n        token: abcdefgh\n        allow:\n          - read\n          - wirte:policies/*\n',
    {
      line: 8,
      key: 'server.access.tokens.ci.allow.1',
      message: expect.stringMatching(/^expected read, push, delete, deploy or admin/),
    },
  ],
  [
    'anonymous may not push',
    'server:\n  access:\n    anonymous: push\n',
    { line: 3, key: 'server.access.anonymous', message: 'expected read, or nothing, got `push`' },
  ],
  [
    'token that is a number',
    'server:\n  access:\n    tokens:\n      ci: { token: 12345678, allow: [read] }\n',
    { line: 4, key: 'server.access.tokens.ci.token', message: 'expected text or { file: path }', hint: 'Quote it.' },
  ],
  [
    'password that is no hash',
    'server:\n  access:\n    users:\n      bob: { password_hash: hunter2, allow: [read] }\n',
    {
      line: 4,
      key: 'server.access.users.bob.password_hash',
      message: 'expected a bcrypt hash of cost 4 to 14',
      hint: 'htpasswd -nB bob writes one behind the colon.',
    },
  ],
  [
    'registry with a scheme',
    'registries:\n  "https://ghcr.io": {}\n',
    { line: 2, key: 'registries.https://ghcr.io', message: expect.stringContaining('expected a host such as ghcr.io') },
  ],
  [
    'credentials for every registry',
    'registries:\n  "*": { username: a, password: b }\n',
    { line: 2, key: 'registries.*', message: expect.stringContaining('may hold no credentials') },
  ],
  [
    'user without a password',
    'registries:\n  ghcr.io: { username: a }\n',
    { line: 2, key: 'registries.ghcr.io', message: 'expected both username and password, or neither' },
  ],
  [
    'certificate without a key',
    'registries:\n  ghcr.io:\n    cert: longshore.yaml\n',
    { line: 2, key: 'registries.ghcr.io', message: 'expected both cert and key, or neither' },
  ],
  [
    'two ways to log in',
    'registries:\n  ghcr.io: { token: a, identity_token: b }\n',
    { line: 2, key: 'registries.ghcr.io', message: 'expected one of password, token and identity_token' },
  ],
  [
    'missing secret file',
    'registries:\n  ghcr.io:\n    username: a\n    password: { file: secrets/ghcr }\n',
    {
      line: 4,
      key: 'registries.ghcr.io.password',
      message: expect.stringMatching(/^cannot read the secret in \/.*\/secrets\/ghcr: there is no such file$/),
    },
  ],
  [
    'missing certificate',
    'server:\n  tls:\n    cert: longshore.yaml\n    key: tls.key\n',
    {
      line: 4,
      key: 'server.tls.key',
      message: expect.stringMatching(/^cannot read \/.*\/tls.key: there is no such file$/),
    },
  ],
  [
    'unknown type of store',
    'stores:\n  s: { type: ocj, repository: a/b }\n',
    {
      line: 2,
      key: 'stores.s.type',
      message: 'expected oci, oci-layout, local or bundle, got `ocj`',
      hint: 'Did you mean `oci`?',
    },
  ],
  [
    'store without a type',
    'stores:\n  s:\n    repository: a/b\n',
    { line: 2, key: 'stores.s.type', message: 'missing: expected oci, oci-layout, local or bundle' },
  ],
  [
    'bundle without a store',
    'bundles:\n  authz:\n    keep: 3\n',
    { line: 2, key: 'bundles.authz.store', message: 'missing: expected a name from `stores`, or a store spelled out' },
  ],
  [
    'store that is neither name nor mapping',
    'bundles:\n  authz:\n    store: 3\n',
    { line: 3, key: 'bundles.authz.store', message: 'expected a name from `stores`, or a store spelled out, got `3`' },
  ],
  [
    'repository with a tag',
    'stores:\n  s:\n    type: oci\n    repository: ghcr.io/acme/policies:1.0\n',
    {
      line: 4,
      key: 'stores.s.repository',
      message: 'expected a repository without a tag or digest, got `ghcr.io/acme/policies:1.0`',
    },
  ],
  [
    'repository in capitals',
    'stores:\n  s:\n    type: oci\n    repository: ghcr.io/Acme/policies\n',
    { line: 4, key: 'stores.s.repository', message: expect.stringContaining('Repository names are lower case') },
  ],
  [
    'local repository with a host',
    'stores:\n  s:\n    type: local\n    repository: localhost:8085/policies\n',
    { line: 4, key: 'stores.s.repository', message: expect.stringContaining('without host and tag') },
  ],
  [
    'dangling store',
    'stores:\n  policies: { type: local, repository: a/b }\nbundles:\n  authz:\n    store: polices\n',
    { line: 5, key: 'bundles.authz.store', message: 'there is no store `polices`: did you mean `policies`?' },
  ],
  [
    'a promotion from a bundle that is not there',
    'bundles:\n  authz: { store: { type: local, repository: a/b } }\n  prod:\n    store:\n      type: bundle\n      from: autz\n',
    { line: 6, key: 'bundles.prod.store.from', message: expect.stringContaining('did you mean `authz`?') },
  ],
  [
    'a promotion from a place that the other bundle does not go to',
    'bundles:\n  authz: { store: { type: local, repository: a/b } }\n  prod: { store: { type: bundle, from: authz, place: staging } }\n',
    { line: 3, key: 'bundles.prod.store.place', message: '`authz` goes to no place' },
  ],
  [
    'a promotion from a place that is misspelled',
    authz('deploy: [{ to: staging }]') +
      '  prod: { store: { type: bundle, from: authz, place: stagin } }\ndeployers:\n  staging: { type: oci, repository: reg.example/a }\n',
    { line: 5, key: 'bundles.prod.store.place', message: expect.stringContaining('did you mean `staging`?') },
  ],
  [
    'a promotion from itself',
    'bundles:\n  prod: { store: { type: bundle, from: prod } }\n',
    { line: 2, key: 'bundles.prod.store.from', message: expect.stringContaining('`prod` from `prod`') },
  ],
  [
    'a promotion of another kind',
    'bundles:\n  authz: { store: { type: local, repository: a/b } }\n  prod:\n    kind: files\n    store: { type: bundle, from: authz }\n',
    { line: 4, key: 'bundles.prod.kind', message: 'is files, and `authz` is opa' },
  ],
  [
    'a promotion that follows something',
    'bundles:\n  authz: { store: { type: local, repository: a/b } }\n  prod:\n    follow: { semver: "*" }\n    store: { type: bundle, from: authz }\n',
    {
      line: 4,
      key: 'bundles.prod.follow',
      message: expect.stringContaining('follows nothing else'),
      hint: expect.stringContaining('pin it'),
    },
  ],
  [
    'a promotion of what is not pulled to what is',
    'bundles:\n  authz: { store: { type: oci, repository: reg.example/a }, pull: false }\n  prod: { store: { type: bundle, from: authz } }\n',
    {
      line: 3,
      key: 'bundles.prod.store.from',
      message: '`authz` has `pull: false`, and `prod` is pulled: what is promoted stays what it is',
      hint: 'Say `pull: false` for both, or for neither.',
    },
  ],
  [
    'a promotion of what is pulled to what is not',
    'bundles:\n  authz: { store: { type: oci, repository: reg.example/a } }\n  prod: { store: { type: bundle, from: authz }, pull: false }\n',
    {
      line: 3,
      key: 'bundles.prod.store.from',
      message: '`prod` has `pull: false`, and `authz` is pulled: what is promoted stays what it is',
      hint: 'Say `pull: false` for both, or for neither.',
    },
  ],
  [
    'drift that is no word for it',
    authz('deploy: [{ to: prod, drift: ignore }]\ndeployers:\n  prod: { type: oci, repository: reg.example/a }'),
    { line: 4, key: 'bundles.authz.deploy.0.drift', message: expect.stringContaining('expected restore or report') },
  ],
  ...(
    [
      ['deploy: [{ to: "" }]', 'deploy.0.to'],
      ['publish: [""]', 'publish.0'],
      ['webhooks: [""]', 'webhooks.0'],
    ] as const
  ).map(([line, key]): [string, string, object] => [
    `an empty name in ${line}`,
    authz(line),
    { line: 4, key: `bundles.authz.${key}`, message: 'expected text, got ``' },
  ]),
  [
    'dangling deployer',
    authz('deploy: [{ to: prod }]'),
    { line: 4, key: 'bundles.authz.deploy.0.to', message: 'there is no deployer `prod`: nothing is known here' },
  ],
  [
    'bundle name in capitals',
    `bundles:\n  Authz: { ${remote} }\n`,
    { line: 2, key: 'bundles.Authz', message: expect.stringContaining('expected a name of lower-case letters') },
  ],
  [
    'bundle name that ends in a route',
    `bundles:\n  authz/releases: { ${remote} }\n`,
    {
      line: 2,
      key: 'bundles.authz/releases',
      message: expect.stringContaining('cannot end in a word that is a route'),
    },
  ],
  [
    'bundle name that ends as a URL does',
    `bundles:\n  authz.tar.gz: { ${remote} }\n`,
    { line: 2, key: 'bundles.authz.tar.gz', message: expect.stringContaining('cannot end in a word that is a route') },
  ],
  [
    'one alias of two bundles',
    `bundles:\n  a:\n    ${remote}\n    aliases: [/x]\n  b:\n    ${remote}\n    aliases:\n      - /y\n      - /x\n`,
    { line: 9, key: 'bundles.b.aliases.1', message: '`/x` is an alias of bundle `a` already' },
  ],
  [
    'alias over a route',
    authz('aliases: [/v2/authz]'),
    { line: 4, key: 'bundles.authz.aliases.0', message: '`/v2/authz` would hide the route /v2' },
  ],
  [
    'alias over a bundle',
    authz('aliases: [/bundles/authz.tar.gz]'),
    { line: 4, key: 'bundles.authz.aliases.0', message: '`/bundles/authz.tar.gz` would hide the bundle `authz`' },
  ],
  [
    'alias that is no path',
    authz('aliases: ["a b"]'),
    { line: 4, key: 'bundles.authz.aliases.0', message: expect.stringContaining('expected a URL path such as') },
  ],
  [
    'alias that clients would shorten',
    authz('aliases: [/a/../b]'),
    { line: 4, key: 'bundles.authz.aliases.0', message: expect.stringContaining('clients take') },
  ],
  [
    'remote registry too often',
    authz('schedule: 4s'),
    {
      line: 4,
      key: 'bundles.authz.schedule',
      message: 'looks at a remote registry more often than every 5s',
      hint: 'Registries limit requests; 60s is usual.',
    },
  ],
  [
    'remote registry too often by cron',
    authz('schedule: "*/2 * * * * *"'),
    {
      line: 4,
      key: 'bundles.authz.schedule',
      message: expect.stringContaining('more often than every 5s'),
      hint: 'Registries limit requests; 60s is usual.',
    },
  ],
  [
    'bad cron expression',
    authz('schedule: "61 * * * *"'),
    {
      line: 4,
      key: 'bundles.authz.schedule',
      message: '"61 * * * *" is no cron expression: 61 is a invalid expression for minute',
    },
  ],
  [
    'range the wrong way round',
    authz('schedule: { min: 2m, max: 1m }'),
    { line: 4, key: 'bundles.authz.schedule', message: 'max (1m) is less than min (2m)' },
  ],
  [
    'bad platform',
    authz('platform: amd64'),
    { line: 4, key: 'bundles.authz.platform', message: expect.stringContaining('expected os/architecture') },
  ],
  [
    'tag template with an unknown word',
    'deployers:\n  prod:\n    type: oci\n    repository: reg.example/a\n    tags: ["{tag}"]\n',
    { line: 5, key: 'deployers.prod.tags.0', message: expect.stringContaining('nothing is known as {') },
  ],
  [
    'one place twice',
    authz('deploy: [{ to: prod }, { to: prod }]\ndeployers:\n  prod: { type: oci, repository: reg.example/a }'),
    { line: 4, key: 'bundles.authz.deploy.1.to', message: '`prod` is named twice' },
  ],
  [
    'a place where the store reads, by another spelling',
    authz('deploy: [{ to: prod }]\ndeployers:\n  prod: { type: oci, repository: GHCR.io:443/acme/policies }'),
    {
      line: 4,
      key: 'bundles.authz.deploy.0.to',
      message: "`prod` would write to ghcr.io/acme/policies, where the bundle's store reads",
    },
  ],
  [
    'a place where the local store reads, through listen',
    authz(
      'deploy: [{ to: self }]\ndeployers:\n  self: { type: oci, repository: localhost:8085/policies/authz }',
      local,
    ),
    {
      line: 4,
      key: 'bundles.authz.deploy.0.to',
      message: "`self` would write to this server/policies/authz, where the bundle's store reads",
    },
  ],
  [
    'a place where the local store reads, through public_url',
    `${authz('deploy: [{ to: self }]', local)}server: { public_url: https://p.example, access: { anonymous: read } }\n` +
      'deployers: { self: { type: oci, repository: p.example/policies/authz } }\n',
    { line: 4, key: 'bundles.authz.deploy.0.to', message: expect.stringContaining('this server/policies/authz') },
  ],
  [
    'a place that is read only',
    authz('deploy: [{ to: self }]\ndeployers:\n  self: { type: oci, repository: 127.0.0.1:8085/bundles/other }'),
    {
      line: 4,
      key: 'bundles.authz.deploy.0.to',
      message: '`self` would write to this server/bundles/other, which is read only',
    },
  ],
  [
    'a bundle that follows itself',
    'bundles:\n  authz:\n    store: { type: local, repository: bundles/authz }\n',
    { line: 3, key: 'bundles.authz.store', message: expect.stringContaining('would follow itself') },
  ],
  [
    'two bundles at one place',
    `bundles:\n  a: { ${remote}, deploy: [{ to: prod }] }\n  b: { ${local}, deploy: [{ to: prod }] }\n` +
      'deployers:\n  prod: { type: oci, repository: reg.example/a }\n',
    {
      line: 3,
      key: 'bundles.b.deploy.0.to',
      message: '`prod` would overwrite what bundle `a` puts at the same repository and tag',
    },
  ],
  [
    'two forms of one bundle at one place',
    `bundles:\n  a: { ${remote}, deploy: [{ to: prod }, { to: again, form: source }] }\n` +
      'deployers:\n  prod: { type: oci, repository: reg.example/a }\n  again: { type: oci, repository: reg.example/a, tags: [other, latest] }\n',
    {
      line: 2,
      key: 'bundles.a.deploy.1.to',
      message: '`again` would overwrite what the same bundle with `form: served` puts at the same repository and tag',
    },
  ],
  [
    'two bundles at one folder that is swapped',
    `bundles:\n  a: { ${remote}, deploy: [{ to: zones, path: in }] }\n  b: { ${local}, deploy: [{ to: zones, path: in/b }] }\n` +
      'deployers:\n  zones: { type: directory, root: /zones, mode: swap }\n',
    {
      line: 3,
      key: 'bundles.b.deploy.0.to',
      message:
        '`zones` would write to /zones/in/b, and bundle `a` to /zones/in: with mode: swap a folder belongs to one',
      hint: 'Give each a `path` of its own, or use mode: files.',
    },
  ],
  [
    'a form of which a program has one',
    authz('deploy: [{ to: any, form: served }]\ndeployers:\n  any: { type: command, command: [x] }'),
    { line: 4, key: 'bundles.authz.deploy.0.form', message: '`any` is of type command: expected tarball' },
  ],
  [
    'a form that is not the place’s',
    authz('deploy: [{ to: zones, form: source }]\ndeployers:\n  zones: { type: directory, root: /zones }'),
    {
      line: 4,
      key: 'bundles.authz.deploy.0.form',
      message: '`zones` is of type directory: expected layers, unpacked or tarball',
    },
  ],
  [
    'a path where there are no folders',
    authz('deploy: [{ to: prod, path: in }]\ndeployers:\n  prod: { type: oci, repository: reg.example/a }'),
    { line: 4, key: 'bundles.authz.deploy.0.path', message: '`prod` is of type oci, which has no folders' },
  ],
  [
    'a path that leads out of the root',
    authz('deploy: [{ to: zones, path: ../etc }]\ndeployers:\n  zones: { type: directory, root: /zones }'),
    {
      line: 4,
      key: 'bundles.authz.deploy.0.path',
      message: 'leads out of /zones, the root of `zones`',
      hint: 'To go there, write it as an absolute path.',
    },
  ],
  [
    'a folder that is our own',
    authz('deploy: [{ to: zones, path: /srv/data/x }]\ndeployers:\n  zones: { type: directory, root: /zones }') +
      'content: { path: /srv/data }\n',
    {
      line: 4,
      key: 'bundles.authz.deploy.0.path',
      message: "`zones` would write to /srv/data/x, and /srv/data is this server's own folder",
    },
  ],
  [
    'a folder where the store reads',
    authz(
      'deploy: [{ to: zones }]\ndeployers:\n  zones: { type: directory, root: /carried }',
      'store: { type: oci-layout, path: /carried/layout }',
    ),
    {
      line: 4,
      key: 'bundles.authz.deploy.0.to',
      message: "`zones` would write to /carried, where the bundle's store reads (/carried/layout)",
    },
  ],
  [
    'a mode that is a number',
    'deployers:\n  zones: { type: directory, root: /zones, file_mode: 0644 }\n',
    {
      line: 2,
      key: 'deployers.zones.file_mode',
      message: 'expected three octal digits in quotes, such as "0644"',
    },
  ],
  [
    'a signal that nobody gets',
    'deployers:\n  zones: { type: directory, root: /zones, signal: HUP }\n',
    { line: 2, key: 'deployers.zones', message: 'expected both signal and pid_file, or neither' },
  ],
  [
    'a command and a signal',
    'deployers:\n  zones: { type: directory, root: /zones, command: [x], signal: HUP, pid_file: /run/x }\n',
    { line: 2, key: 'deployers.zones', message: 'expected a command or a signal, not both' },
  ],
  [
    'a program by a relative path',
    'deployers:\n  zones: { type: directory, root: /zones, command: [bin/x] }\n',
    {
      line: 2,
      key: 'deployers.zones.command.0',
      message: 'expected an absolute path of a program, or its bare name, got `bin/x`',
    },
  ],
  [
    'unset variable',
    authz('follow: ${VERSION}'),
    {
      line: 4,
      key: 'bundles.authz.follow',
      message: 'the environment has no VERSION',
      hint: 'Set it, or give a default: ${VERSION:-default}',
    },
  ],
  [
    'a store with a name that every object knows',
    'bundles:\n  authz: { store: constructor }\n',
    { line: 2, key: 'bundles.authz.store', message: 'there is no store `constructor`: nothing is known here' },
  ],
  [
    'a deployer with such a name',
    authz('deploy: [{ to: constructor }]'),
    {
      line: 4,
      key: 'bundles.authz.deploy.0.to',
      message: 'there is no deployer `constructor`: nothing is known here',
    },
  ],
  [
    'a bundle with a name that no object can have',
    `bundles:\n  __proto__: { ${local} }\n`,
    { line: 2, key: 'bundles.__proto__', message: 'unknown key `__proto__`' },
  ],
  [
    'a hash that takes seconds for each guess',
    `server: { access: { users: { me: { password_hash: "$2y$15$${'a'.repeat(53)}", allow: [read] } } } }\n`,
    {
      line: 1,
      key: 'server.access.users.me.password_hash',
      message: 'expected a bcrypt hash of cost 4 to 14',
      hint: 'htpasswd -nB me writes one behind the colon.',
    },
  ],
  [
    'a value that meta makes too long',
    `meta:\n  x: ${'y'.repeat(40_000)}\ncontent:\n  path: \${meta.x}\${meta.x}\n`,
    { line: 4, key: 'content.path', message: 'longer than 64 KiB' },
  ],
  [
    'a number among tags',
    'deployers:\n  p: { type: oci, repository: ghcr.io/a/b, tags: [1.10] }\n',
    { line: 2, key: 'deployers.p.tags.0', message: 'expected text, got `1.10`', hint: 'Quote it: "1.10"' },
  ],
  [
    'a ceiling for a part of a registry',
    'registries:\n  ghcr.io/acme: { concurrency: 1 }\n',
    {
      line: 2,
      key: 'registries.ghcr.io/acme.concurrency',
      message: 'counts for a host as a whole',
      hint: 'Put it under ghcr.io.',
    },
  ],
  [
    'unknown meta',
    'meta: { a: 1 }\ncontent:\n  path: ${meta.b}\n',
    { line: 3, key: 'content.path', message: 'there is no meta.b' },
  ],
]

describe('each mistake has one problem, with its place', () => {
  it.each(single)('%s', async (_name, text, problem) => {
    expect(await problems(text)).toEqual([{ file, ...problem }])
  })
})

describe('YAML', () => {
  it('refuses duplicate keys, and goes on checking', async () => {
    expect(await problems('log:\n  level: info\n  level: debug\nopa:\n  pth: x\n')).toEqual([
      { file, line: 3, message: 'duplicate key `level`' },
      { file, line: 5, key: 'opa.pth', message: 'unknown key `pth`: did you mean `path`?' },
    ])
  })

  it('says where the first broken line is, and nothing of what stands there', async () => {
    const [problem, ...others] = await problems(
      'log:\n  level: info\nregistries: { ghcr.io: { password: hunter2\nbundles: }\n',
    )
    expect(others).toEqual([])
    expect(problem).toMatchObject({ file, message: expect.stringMatching(/^not YAML: /) })
    expect(problem!.line).toBeGreaterThan(2)
    expect(JSON.stringify(problem)).not.toContain('hunter2')
  })

  const password = (written: string) => `registries:\n  ghcr.io:\n    username: x\n    password: ${written}\n`

  it.each<[string, string, number, string, string?]>([
    ['an alias', password('*hunter22'), 4, 'an alias of nothing', 'Quote'],
    ['a tag', password('!hunter22'), 4, 'an unknown tag', 'Quote'],
    ['a character of YAML', password('@hunter22'), 4, 'a value cannot begin with this character', 'Quote'],
    ['a block', password('|hunter22'), 4, 'Block scalar header includes extra characters'],
    ['a mapping', password('hunter22: x'), 4, 'Nested mappings are not allowed in compact mappings'],
    ['a bad escape', password('"hunter22\\q"'), 4, 'an unknown escape', 'single quotes'],
    ['an open quote', password('"hunter22'), 5, 'a quote or bracket is not closed'],
    ['a tab', 'log:\n\tlevel: info\n', 2, 'a tab where there should be spaces', 'Indent'],
    ['another document', 'log: {}\n---\nlog: {}\n', 2, 'a second document', '---'],
    ['an alias of itself', 'meta: &a\n  x: *a\n', 2, 'an alias within what it stands for'],
  ])('says what to do about %s, and shows no secret', async (_name, text, line, message, hint) => {
    const found = await problems(text)
    expect(found).toEqual([
      {
        ...{ file, line, message: `not YAML: ${message}` },
        ...(hint !== undefined && { hint: expect.stringContaining(hint) as string }),
      },
    ])
    expect(JSON.stringify(found)).not.toContain('hunter')
  })

  it('takes merge keys, and says of what they bring where they stand', async () => {
    const base = 'meta:\n  base: &base { type: oci, repository: ghcr.io/a/b }\nstores:\n'
    const { stores } = await load(`${base}  two:\n    <<: *base\n    repository: ghcr.io/a/c\n`)
    expect(stores.two).toMatchObject({ type: 'oci', repository: 'ghcr.io/a/c' })
    expect(await problems(`${base}  two:\n    <<: *base\n    typ: x\n`)).toEqual([
      expect.objectContaining({ line: 6, key: 'stores.two.typ' }),
    ])
  })

  it('refuses what is no UTF-8, with the line', async () => {
    const utf16 = Buffer.from('\uFEFFlog: {}\n', 'utf16le')
    expect(await problems(utf16)).toEqual([
      { file, line: 1, message: 'not UTF-8', hint: expect.stringContaining('Save') as string },
    ])
    expect(await problems(Buffer.from('# x\nmeta: { a: "\xe9" }\n', 'latin1'))).toMatchObject([{ file, line: 2 }])
  })

  it.each(['\uFEFFlog: {}\n', 'log: {}\r\nopa: {}\r\n', '{"log": {"level": "info",},}', '---\nlog: {}\n...\n'])(
    'takes %j',
    async (text) => {
      expect(await problems(text)).toEqual([])
    },
  )

  it('says nothing on its own', async () => {
    const warned: unknown[] = []
    const listen = (warning: unknown) => warned.push(warning)
    process.on('warning', listen)
    expect(await problems('? [a, b]\n: 1\n')).toHaveLength(1)
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', listen)
    expect(warned).toEqual([])
  })

  it.each([
    ['several documents', 'log: {}\n---\nlog: {}\n'],
    ['an unknown tag', 'log: !exec foo\n'],
    ['an unknown anchor', 'log: *nobody\n'],
    ['endless nesting', '['.repeat(200_000)],
  ])('refuses %s', async (_name, text) => {
    expect(await problems(text)).toEqual([expect.objectContaining({ message: expect.stringMatching(/^not YAML: /) })])
  })

  it('refuses aliases that grow without bound', async () => {
    const levels = Array.from({ length: 12 }, (_, at) => `  l${at + 1}: &l${at + 1} [${`*l${at}, `.repeat(9)}*l${at}]`)
    const bomb = `meta:\n  l0: &l0 [x]\n${levels.join('\n')}\n`
    expect(await problems(bomb)).toEqual([expect.objectContaining({ message: expect.stringContaining('alias') })])
  })

  it('finds places through aliases', async () => {
    const text = `meta:\n  it: &it\n    type: local\n    repository: Bad\nstores:\n  a: *it\n`
    expect(await problems(text)).toEqual([expect.objectContaining({ line: 4, key: 'stores.a.repository' })])
  })

  it('takes JSON, with lines', async () => {
    expect(await problems('{\n\t"log": {\n\t\t"level": "loud"\n\t}\n}\n')).toEqual([
      expect.objectContaining({ line: 3, key: 'log.level' }),
    ])
  })

  it('refuses anything but a mapping', async () => {
    expect(await problems('- a\n- b\n')).toEqual([{ file, key: '', message: 'expected a mapping' }])
  })
})

describe('all at once', () => {
  const text = `server:
  listen: nowhere
  public_url: https://policy.example.com
stores:
  bad: { type: oci, repositry: ghcr.io/a/b }
bundles:
  a:
    store: bda
    kind: opaa
    schedule: 1s
    deploy: [{ to: nobody }]
  b: { ${remote}, keep: many, schedule: 1s, aliases: [/api/x] }
  c: { ${remote}, aliases: [/api/y] }
`

  it('tells every problem in the order of the file, whatever else is wrong beside it', async () => {
    const found = await problems(text)
    expect(found.map(({ line, key }) => `${line} ${key}`)).toEqual([
      '2 server.listen',
      '3 server.public_url',
      '5 stores.bad.repository',
      '5 stores.bad.repositry',
      '8 bundles.a.store',
      '9 bundles.a.kind',
      '11 bundles.a.deploy.0.to',
      '12 bundles.b.keep',
      '12 bundles.b.schedule',
      '12 bundles.b.aliases.0',
      '13 bundles.c.aliases.0',
    ])
  })

  it('under a wrong name as well', async () => {
    const text = [
      'registries:',
      '  https://ghcr.io:',
      '    usrname: ci',
      'stores:',
      '  Policies:',
      '    type: oci',
      '    repositry: ghcr.io/acme/policies',
      'bundles:',
      '  Authz:',
      '    store: { type: oci, repository: ghcr.io/acme/policies }',
      '    follow: 1.10',
      '    schedule: 1s',
      '',
    ].join('\n')
    expect(await problems(text)).toMatchObject([
      { line: 2, key: 'registries.https://ghcr.io' },
      { line: 3, key: 'registries.https://ghcr.io.usrname', message: expect.stringContaining('unknown key') },
      { line: 5, key: 'stores.Policies' },
      { line: 5, key: 'stores.Policies.repository' },
      { line: 7, key: 'stores.Policies.repositry', message: expect.stringContaining('`repository`') },
      { line: 9, key: 'bundles.Authz' },
      {
        line: 11,
        key: 'bundles.Authz.follow',
        message: expect.stringContaining('1.10'),
        hint: 'Quote it: follow: "1.10"',
      },
      { line: 12, key: 'bundles.Authz.schedule' },
    ])
  })

  it('counts them in the message', async () => {
    await expect(load(text)).rejects.toThrow('the config has 11 problems')
    await expect(load('sever: {}')).rejects.toThrow('the config has a problem')
  })

  it('reads as file, line, key, message, and what to do', () => {
    const problem = { file, line: 4, key: 'bundles.a.follow', message: 'expected a tag, got `1.10`', hint: 'Quote it.' }
    expect(formatProblems([problem, { message: 'alone' }])).toBe(
      'longshore.yaml:4: bundles.a.follow: expected a tag, got `1.10`\n    Quote it.\nalone',
    )
  })
})

describe('secrets never show', () => {
  it.each([
    ['a variable that ends up in a bad value', 'log:\n  level: ${SECRET}\n'],
    ['a variable in a repository', 'stores:\n  s: { type: oci, repository: "x y ${SECRET}" }\n'],
    ['a variable as a name', 'bundles:\n  authz: { store: "${SECRET}" }\n'],
    ['a variable in a tag', 'bundles:\n  authz: { store: { type: local, repository: a }, schedule: "${SECRET} *" }\n'],
  ])('%s', async (_name, text) => {
    const found = await problems(text, { env: { SECRET: 'hunter2-hunter2' } })
    expect(found).toHaveLength(1)
    expect(JSON.stringify(found)).not.toContain('hunter2')
  })

  it('a variable that a hint shows in lower case', async () => {
    const text = 'stores:\n  s: { type: oci, repository: "ghcr.io/${SECRET}" }\n'
    const found = await problems(text, { env: { SECRET: 'HUNTER2-HUNTER2' } })
    expect(found).toHaveLength(1)
    expect(JSON.stringify(found)).not.toMatch(/hunter2/i)
  })

  it.each([
    ['a URL with a login', 'server: { public_url: "https://me:hunter22@policy.test" }\n'],
    ['a repository with a login', 'stores: { a: { type: oci, repository: "https://me:hunter22@ghcr.io/a/b" } }\n'],
    ['the same without a scheme', 'stores: { a: { type: oci, repository: "me:hunter22@ghcr.io/a/b" } }\n'],
    ['a registry with a login', 'registries: { "https://me:hunter22@ghcr.io": {} }\n'],
    ['a password for a registry', 'registries: { ghcr.io: hunter22 }\n'],
    ['a login for a registry', 'registries: { ghcr.io: "me:hunter22" }\n'],
    ['a password for a user', 'server: { access: { users: { me: hunter22 } } }\n'],
    ['a token for a name', 'server: { access: { tokens: { hunter22: [read] } } }\n'],
    ['a token for all', 'server: { access: hunter22 }\n'],
    ['a token in a list', 'server: { access: { tokens: { a: { token: x, allow: [hunter22] } } } }\n'],
  ])('%s', async (_name, text) => {
    const found = await problems(text)
    expect(found).toHaveLength(1)
    expect(JSON.stringify(found)).not.toContain('hunter22')
  })

  it('a password of the wrong shape', async () => {
    const found = await problems(
      'registries:\n  ghcr.io: { username: a, password: [hunter2] }\n  b.io: { username: a, password: { fil: hunter2 } }\n',
    )
    expect(found).toHaveLength(3)
    expect(JSON.stringify(found)).not.toContain('hunter2')
  })
})

describe('the file itself', () => {
  it('has to be there when it is named', async () => {
    const cwd = tempDir()
    await expect(load('', { options: { path: 'other.yaml', cwd } })).rejects.toThrow(
      `cannot read the config file ${join(cwd, 'other.yaml')}: there is no such file`,
    )
  })

  it('cannot be a folder, or huge', async () => {
    const folder = tempDir()
    mkdirSync(join(folder, 'folder'))
    writeFileSync(join(folder, 'huge'), '#'.repeat(1024 ** 2 + 1))
    await expect(load('', { folder, options: { path: 'folder' } })).rejects.toThrow('it is a folder')
    await expect(load('', { folder, options: { path: 'huge' } })).rejects.toThrow('it is larger than 1 MiB')
  })
})
