import type { At, Case } from './configured.ts';

/** A table; the hosts are on loopback and use http, which `insecure` allows. */
const registry = (prefix: string, location: string | undefined, rest = ''): string =>
  `[[registry]]\nprefix = "${prefix}"\nlocation = "${location}"\ninsecure = true\n${rest}\n`;

const mirror = (location: string | undefined, rest = ''): string =>
  `[[registry.mirror]]\nlocation = "${location}"\ninsecure = true\n${rest}\n`;

/** One file, for a registry that is never contacted. */
const elsewhere = (text: (at: At) => string): Pick<Case, 'files' | 'repository'> => ({
  files: (at) => ({ 'registries.conf': text(at) }),
  repository: () => 'registry.invalid/team/app',
});

const name = 'registry.invalid';
const [digestOnly, tagOnly] = ['pull-from-mirror = "digest-only"', 'pull-from-mirror = "tag-only"'];

/** What skopeo and ocifetch read alike. */
export const registriesConfCases: readonly Case[] = [
  {
    name: 'the mirrors, in the order of the file, and then the location',
    hosts: { origin: 'has all', second: 404, first: 404, third: 404 },
    ...elsewhere((at) => registry(name, at.origin) + mirror(at.first) + mirror(at.second) + mirror(at.third)),
  },
  {
    name: 'only the first mirror, if it has all content',
    hosts: { first: 'has all', second: 'has all', origin: 'has all' },
    ...elsewhere((at) => registry(name, at.origin) + mirror(at.first) + mirror(at.second)),
    byDigest: true,
  },
  {
    name: 'the second mirror, if the first is down',
    hosts: { first: 'refuses connections', second: 'has all', origin: 'has all' },
    ...elsewhere((at) => registry(name, at.origin) + mirror(at.first) + mirror(at.second)),
  },
  {
    name: 'the location, after mirrors that respond with 500, 403 and 404',
    hosts: { broken: 500, forbidden: 403, empty: 404, origin: 'has all' },
    ...elsewhere((at) => registry(name, at.origin) + mirror(at.broken) + mirror(at.forbidden) + mirror(at.empty)),
  },
  {
    name: 'a tag, from mirrors that are not only for digests',
    hosts: { digests: 'has all', tags: 404, all: 404, origin: 'has all' },
    ...elsewhere(
      (at) => registry(name, at.origin) + mirror(at.digests, digestOnly) + mirror(at.tags, tagOnly) + mirror(at.all),
    ),
  },
  {
    name: 'a digest, from mirrors that are not only for tags',
    hosts: { tags: 'has all', digests: 404, all: 404, origin: 'has all' },
    ...elsewhere(
      (at) => registry(name, at.origin) + mirror(at.tags, tagOnly) + mirror(at.digests, digestOnly) + mirror(at.all),
    ),
    byDigest: true,
  },
  {
    name: 'a tag from the location, if mirrors are for digests',
    hosts: { mirror: 'has all', origin: 'has all' },
    ...elsewhere((at) => registry(name, at.origin, 'mirror-by-digest-only = true') + mirror(at.mirror)),
  },
  {
    name: 'a digest from the mirror, if mirrors are for digests',
    hosts: { mirror: 404, origin: 'has all' },
    ...elsewhere((at) => registry(name, at.origin, 'mirror-by-digest-only = true') + mirror(at.mirror)),
    byDigest: true,
  },
  {
    name: 'the path of a location instead of that of the prefix',
    hosts: { deep: 404, bare: 404, origin: 'has all' },
    ...elsewhere(
      (at) => registry(`${name}/team`, `${at.origin}/other`) + mirror(`${at.deep}/mirror/of/team`) + mirror(at.bare),
    ),
  },
  {
    name: 'one repository, mapped as a whole',
    hosts: { mirror: 404, origin: 'has all' },
    ...elsewhere((at) => registry(`${name}/team/app`, `${at.origin}/one`) + mirror(`${at.mirror}/team-app`)),
  },
  {
    name: 'the longest prefix, whatever its place in the file',
    hosts: { host: 'has all', team: 404, longer: 'has all', origin: 'has all' },
    ...elsewhere(
      (at) =>
        registry(name, at.origin) +
        mirror(at.host) +
        registry(`${name}/team`, at.origin) +
        mirror(at.team) +
        registry(`${name}/team/application`, at.origin) +
        mirror(at.longer),
    ),
  },
  {
    name: 'a prefix for all hosts of a domain',
    hosts: { wide: 404, narrow: 404, origin: 'has all' },
    files: (at) => ({
      'registries.conf':
        registry('*.invalid', `${at.origin}/wide`) +
        mirror(at.wide) +
        registry('*.registry.invalid', `${at.origin}/narrow`) +
        mirror(`${at.narrow}/mirror`),
    }),
    repository: () => 'eu.west.registry.invalid/team/app',
  },
  {
    name: 'a registry that is named by its location',
    hosts: { mirror: 404, registry: 'has all' },
    files: (at) => ({
      'registries.conf': `[[registry]]\nlocation = "${at.registry}"\ninsecure = true\n${mirror(at.mirror)}`,
    }),
    repository: (at) => `${at.registry}/team/app`,
  },
  {
    name: 'images of Docker Hub',
    hosts: { mirror: 404, origin: 'has all' },
    files: (at) => ({ 'registries.conf': registry('docker.io', at.origin) + mirror(at.mirror) }),
    repository: () => 'docker.io/library/alpine',
  },
  {
    name: 'the last file that has the prefix',
    hosts: { main: 'has all', early: 'has all', late: 404, origin: 'has all' },
    files: (at) => ({
      'registries.conf': registry(name, at.origin) + mirror(at.main),
      'registries.conf.d/10-early.conf': registry(name, at.origin) + mirror(at.early),
      'registries.conf.d/20-late.conf': registry(name, at.origin) + mirror(at.late),
      'registries.conf.d/30-other.txt': 'not read',
    }),
    repository: () => 'registry.invalid/team/app',
  },
];

/** What both refuse before any host is contacted. */
export const blockedCases: readonly Case[] = [
  {
    name: 'a registry',
    hosts: { registry: 'has all' },
    files: (at) => ({ 'registries.conf': registry(`${at.registry}`, at.registry, 'blocked = true') }),
    repository: (at) => `${at.registry}/team/app`,
  },
  {
    name: 'a path of a registry that is not blocked, by digest',
    hosts: { registry: 'has all' },
    files: (at) => ({
      'registries.conf':
        registry(`${at.registry}`, at.registry) +
        registry(`${at.registry}/team`, `${at.registry}/team`, 'blocked = true'),
    }),
    repository: (at) => `${at.registry}/team/app`,
    byDigest: true,
  },
  {
    name: 'all hosts of a domain, without a location',
    hosts: { nobody: 'has all' },
    files: () => ({ 'registries.conf': '[[registry]]\nprefix = "*.invalid"\nblocked = true\n' }),
    repository: () => 'registry.invalid/team/app',
  },
];

/** What skopeo (1.9) requests from the mirrors and the location: it checks their own names for a block. */
export const ownBlockedCases: readonly Case[] = [
  {
    name: 'a registry, its mirrors, and its location at another host',
    hosts: { mirror: 'has all', origin: 'has all' },
    ...elsewhere((at) => registry(name, at.origin, 'blocked = true') + mirror(at.mirror)),
  },
];
