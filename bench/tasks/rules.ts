// A configuration with many hosts and rewrite rules: read, then used for names that only the last rule matches, or none.
import { type Config, createResolver, parseRepository } from 'ocifetch';
import { report, taskOf } from '../support/task.ts';

/** Rules of each host, and names that are planned. */
export interface RulesTask {
  readonly hosts: number;
  readonly rules: number;
  readonly names: number;
}

const { hosts, rules, names } = taskOf<RulesTask>();
const config: Config = {
  registries: {
    'registry.example': {
      mirrors: Array.from({ length: hosts }, (_, host) => ({
        url: `https://mirror-${host}.example`,
        rewrites: Array.from({ length: rules }, (_, rule) => ({
          pattern: `^team-${host}-${rule}/(.*)-v([0-9]+)$`,
          replacement: `mirrored/${host}/$1/$2`,
        })),
      })),
    },
  },
};

await report(async () => {
  const started = performance.now();
  const resolver = createResolver(config);
  const read = performance.now();
  for (let name = 0; name < names; name += 1) {
    const path = name % 2 === 0 ? `other/app-${name}` : `team-${hosts - 1}-${rules - 1}/app-${name}-v7`;
    const endpoints = resolver(parseRepository(`registry.example/${path}`));
    const last = endpoints.at(-2)?.repository;
    const expected = name % 2 === 0 ? path : `mirrored/${hosts - 1}/app-${name}/7`;
    if (endpoints.length !== hosts + 1 || last !== expected) throw new Error(`${path} became ${last}`);
  }
  return { 'read ms': read - started, 'ms a name': (performance.now() - read) / names };
});
