/** What the environment says where the file does not; these go together. https://developer.hashicorp.com/nomad/docs/commands#environment-variables */
export const nomadEnvironment: Record<string, string>[] = [
  { address: 'NOMAD_ADDR' },
  { token: 'NOMAD_TOKEN' },
  { vault_token: 'VAULT_TOKEN' },
  { namespace: 'NOMAD_NAMESPACE' },
  { region: 'NOMAD_REGION' },
  { ca: 'NOMAD_CACERT' },
  { cert: 'NOMAD_CLIENT_CERT', key: 'NOMAD_CLIENT_KEY' },
  { server_name: 'NOMAD_TLS_SERVER_NAME' },
]
