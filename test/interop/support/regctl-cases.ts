import { certificate } from '../../server/certificate.ts';
import type { At, Case } from './configured.ts';

/** A host that speaks http; each is named by its own address. */
const plain = { tls: 'disabled' } as const;

const file = (hosts: object, rest: object = {}): Readonly<Record<string, string>> => ({
  'config.json': JSON.stringify({ version: 1, hosts, ...rest }),
});

/** Hosts by their addresses; `settings` by their keys. */
const hostsOf = (at: At, settings: Readonly<Record<string, object>>): object =>
  Object.fromEntries(Object.entries(settings).map(([key, own]) => [`${at[key]}`, { ...plain, ...own }]));

const repository = (at: At): string => `${at.registry}/team/app`;

const mirrorsOf = (at: At, ...keys: readonly string[]): object => ({ mirrors: keys.map((key) => at[key]) });

/** What regctl and ocifetch read alike. Of one priority there is one mirror in each: regctl's order of more is its sort's. */
export const regctlCases: readonly Case[] = [
  {
    name: 'the mirrors by priority, wherever they stand, and then the registry',
    hosts: { registry: 'has all', late: 404, first: 404, middle: 404 },
    files: (at) =>
      file(
        hostsOf(at, {
          registry: { ...mirrorsOf(at, 'late', 'first', 'middle'), priority: 9 },
          late: { priority: 7 },
          first: { priority: 1 },
          middle: { priority: 4 },
        }),
      ),
    repository,
  },
  {
    name: 'the registry after the mirror of its own priority, and before those of a higher one',
    hosts: { registry: 404, same: 404, later: 'has all' },
    files: (at) => file(hostsOf(at, { registry: mirrorsOf(at, 'later', 'same'), same: {}, later: { priority: 3 } })),
    repository,
  },
  {
    name: 'the first mirror alone, where it has all',
    hosts: { registry: 'has all', mirror: 'has all' },
    files: (at) => file(hostsOf(at, { registry: mirrorsOf(at, 'mirror'), mirror: {} })),
    repository,
    byDigest: true,
  },
  {
    name: 'the path prefix of a mirror',
    hosts: { registry: 404, mirror: 'has all' },
    files: (at) =>
      file(
        hostsOf(at, {
          registry: { ...mirrorsOf(at, 'mirror'), priority: 2 },
          mirror: { pathPrefix: 'proxy/cache', priority: 1 },
        }),
      ),
    repository,
  },
  {
    name: 'hosts that speak TLS, one believed by its certificate and one anyway',
    hosts: { registry: 'has all', known: 404, anyway: 404 },
    tls: ['known', 'anyway'],
    files: (at) =>
      file(
        hostsOf(at, {
          registry: { ...mirrorsOf(at, 'anyway', 'known'), priority: 3 },
          known: { tls: 'enabled', regcert: certificate.cert, priority: 1 },
          anyway: { tls: 'insecure', priority: 2 },
        }),
      ),
    repository,
  },
  {
    name: 'the mirror of all hosts, which is asked with the settings of the defaults',
    hosts: { registry: 'has all', mirror: 404 },
    files: (at) =>
      file(hostsOf(at, { registry: { priority: 1 }, mirror: {} }), { hostDefault: mirrorsOf(at, 'mirror') }),
    repository,
  },
];

/** What they ask alike first: regctl passes over for a while who fails otherwise than by 404. */
export const failingRegctlCases: readonly Case[] = [
  {
    name: 'the registry, after mirrors that answer 403 and where nobody listens',
    hosts: { registry: 'has all', forbidden: 403, dead: 'refuses connections' },
    files: (at) =>
      file(
        hostsOf(at, {
          registry: { ...mirrorsOf(at, 'forbidden', 'dead'), priority: 5 },
          forbidden: { priority: 1 },
          dead: { priority: 2 },
        }),
      ),
    repository,
  },
];

/** What regctl reads otherwise, or sends otherwise. */
export const ownRegctlCases: readonly Case[] = [
  {
    name: 'several mirrors of one priority, in the order of the file',
    hosts: { registry: 404, first: 404, second: 404, third: 404 },
    files: (at) =>
      file(hostsOf(at, { registry: mirrorsOf(at, 'first', 'second', 'third'), first: {}, second: {}, third: {} })),
    repository,
  },
  {
    name: 'a registry whose name is not that of its host, which is its ns',
    hosts: { registry: 404, mirror: 404 },
    files: (at) =>
      file({
        'registry.invalid': { ...plain, hostname: at.registry, mirrors: ['near'] },
        near: {
          ...plain,
          hostname: at.mirror,
          pathPrefix: 'cache',
          user: `${at.mirror}/cache`.replace(':', '_'),
          pass: 'x',
        },
      }),
    repository: () => 'registry.invalid/team/app',
  },
];
