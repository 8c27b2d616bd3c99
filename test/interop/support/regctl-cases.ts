import { certificate } from '../../server/certificate.ts';
import type { At, Case } from './configured.ts';

/** A host that uses http; its key is its own address. */
const plain = { tls: 'disabled' } as const;

const file = (hosts: object, rest: object = {}): Readonly<Record<string, string>> => ({
  'config.json': JSON.stringify({ version: 1, hosts, ...rest }),
});

/** Hosts by their addresses; `settings` by their keys. */
const hostsOf = (at: At, settings: Readonly<Record<string, object>>): object =>
  Object.fromEntries(Object.entries(settings).map(([key, own]) => [`${at[key]}`, { ...plain, ...own }]));

const repository = (at: At): string => `${at.registry}/team/app`;

const mirrorsOf = (at: At, ...keys: readonly string[]): object => ({ mirrors: keys.map((key) => at[key]) });

/** What regctl and ocifetch read alike. Each priority has one mirror: regctl's order of several depends on its sort. */
export const regctlCases: readonly Case[] = [
  {
    name: 'the mirrors by priority, whatever their order in the file, and then the registry',
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
    name: 'the registry after the mirror with its own priority, and before those with a higher one',
    hosts: { registry: 404, same: 404, later: 'has all' },
    files: (at) => file(hostsOf(at, { registry: mirrorsOf(at, 'later', 'same'), same: {}, later: { priority: 3 } })),
    repository,
  },
  {
    name: 'only the first mirror, if it has all content',
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
    name: 'hosts with TLS, one trusted by its certificate and one without verification',
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
    name: 'the mirror for all hosts, with the default settings',
    hosts: { registry: 'has all', mirror: 404 },
    files: (at) =>
      file(hostsOf(at, { registry: { priority: 1 }, mirror: {} }), { hostDefault: mirrorsOf(at, 'mirror') }),
    repository,
  },
];

/** What both request alike at first: regctl skips a host for a while if it fails with anything but 404. */
export const failingRegctlCases: readonly Case[] = [
  {
    name: 'the registry, after a mirror that responds with 403 and one that is down',
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

/** What regctl reads or sends differently. */
export const ownRegctlCases: readonly Case[] = [
  {
    name: 'several mirrors with one priority, in the order of the file',
    hosts: { registry: 404, first: 404, second: 404, third: 404 },
    files: (at) =>
      file(hostsOf(at, { registry: mirrorsOf(at, 'first', 'second', 'third'), first: {}, second: {}, third: {} })),
    repository,
  },
  {
    name: 'a registry whose name, which is its ns, is not its hostname',
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
