import type { Case } from './configured.ts';

/** k3s is not run here: these are only for the comparison of plan and run. */
export const registriesYamlCases: readonly Case[] = [
  {
    name: 'endpoints with paths and rewrites, then the registry itself, which has none',
    hosts: { first: 404, second: 404, registry: 404 },
    files: (at) => ({
      'registries.yaml': JSON.stringify({
        mirrors: {
          [at.registry ?? '']: {
            endpoint: [`http://${at.first}`, `http://${at.second}/v2/proxy`],
            rewrite: { '^team/(.*)': 'cache/$1' },
          },
        },
      }),
    }),
    repository: (at) => `${at.registry}/team/app`,
  },
  {
    name: 'the mirrors for all registries',
    hosts: { mirror: 404, registry: 404 },
    files: (at) => ({
      'registries.yaml': JSON.stringify({ mirrors: { '*': { endpoint: [`http://${at.mirror}/prefix`] } } }),
    }),
    repository: (at) => `${at.registry}/team/app`,
  },
];
