import type { At, Case } from './configured.ts';

/** A host's table; `path` follows the port, `rest` is the content of the table. */
const host = (authority: string | undefined, path = '', rest = ''): string =>
  `[host."http://${authority}${path}"]\n${rest}\n`;

const server = (authority: string | undefined, path = ''): string => `server = "http://${authority}${path}"\n`;

/** One file, for a registry that is never contacted: RFC 2606 reserves its name. */
const elsewhere = (text: (at: At) => string): Pick<Case, 'files' | 'repository'> => ({
  files: (at) => ({ 'registry.invalid/hosts.toml': text(at) }),
  repository: () => 'registry.invalid/team/app',
});

const [pull, resolve] = ['capabilities = ["pull"]', 'capabilities = ["resolve"]'];

/**
 * What Debian's containerd and ocifetch read alike. Intentional differences are not here: inline and dotted host tables, which
 * containerd ignores; files with an error, which it ignores, too, and contacts the registry itself; rewrites, which only k3s'
 * containerd supports.
 */
export const hostsTomlCases: readonly Case[] = [
  {
    name: 'the mirrors, in the order of the file, and then the server',
    hosts: { server: 'has all', second: 404, first: 404, third: 404 },
    ...elsewhere((at) => server(at.server) + host(at.first) + host(at.second) + host(at.third)),
  },
  {
    name: 'the mirrors and the server, by digest',
    hosts: { first: 404, server: 'has all' },
    ...elsewhere((at) => server(at.server) + host(at.first)),
    byDigest: true,
  },
  {
    name: 'only the first mirror, if it has all content',
    hosts: { first: 'has all', second: 'has all', server: 'has all' },
    ...elsewhere((at) => server(at.server) + host(at.first) + host(at.second)),
  },
  {
    name: 'the second mirror, if the first is down',
    hosts: { first: 'refuses connections', second: 'has all', server: 'has all' },
    ...elsewhere((at) => server(at.server) + host(at.first) + host(at.second)),
  },
  {
    name: 'the server, after mirrors that respond with 500, 403 and 404',
    hosts: { broken: 500, forbidden: 403, empty: 404, server: 'has all' },
    ...elsewhere((at) => server(at.server) + host(at.broken) + host(at.forbidden) + host(at.empty)),
  },
  {
    name: 'full API roots, also below prefixes',
    hosts: { whole: 404, prefix: 404, version: 404, server: 'has all' },
    ...elsewhere(
      (at) =>
        server(at.server, '/v2') +
        host(at.whole, '/v2/group/api', 'override_path = true') +
        host(at.prefix, '/other/prefix') +
        host(at.version, '/below/v2/'),
    ),
  },
  {
    name: 'the registry itself after the mirrors, if there is no server',
    hosts: { mirror: 404, registry: 'has all' },
    files: (at) => ({ [`${at.registry?.replace(':', '_')}_/hosts.toml`]: host(at.mirror) }),
    repository: (at) => `${at.registry}/team/app`,
  },
  {
    name: 'a folder with a colon, and a server that is the registry itself',
    hosts: { mirror: 404, registry: 'has all' },
    files: (at) => ({ [`${at.registry}/hosts.toml`]: server(at.registry) + host(at.mirror) }),
    repository: (at) => `${at.registry}/team/app`,
  },
  {
    name: 'the folder without a colon, if a registry has two',
    hosts: { portable: 404, colon: 404, registry: 'has all' },
    files: (at) => ({
      [`${at.registry?.replace(':', '_')}_/hosts.toml`]: host(at.portable),
      [`${at.registry}/hosts.toml`]: host(at.colon),
    }),
    repository: (at) => `${at.registry}/team/app`,
  },
  {
    name: 'the folder for all registries, if a registry has none',
    hosts: { own: 404, all: 404, server: 'has all' },
    files: (at) => ({
      'other.invalid/hosts.toml': host(at.own),
      '_default/hosts.toml': server(at.server) + host(at.all),
    }),
    repository: () => 'registry.invalid/team/app',
  },
  {
    name: 'the folder of a registry, even if there is one for all',
    hosts: { own: 404, all: 404, server: 'has all' },
    files: (at) => ({
      'registry.invalid/hosts.toml': server(at.server) + host(at.own),
      '_default/hosts.toml': server(at.server) + host(at.all),
    }),
    repository: () => 'registry.invalid/team/app',
  },
  {
    name: 'the registry itself, if its file is empty, even if there is one for all',
    hosts: { all: 'has all', registry: 'has all' },
    files: (at) => ({
      [`${at.registry?.replace(':', '_')}_/hosts.toml`]: '',
      '_default/hosts.toml': host(at.all),
    }),
    repository: (at) => `${at.registry}/team/app`,
  },
  {
    name: 'images of Docker Hub',
    hosts: { mirror: 404, server: 'has all' },
    files: (at) => ({ 'docker.io/hosts.toml': server(at.server) + host(at.mirror) }),
    repository: () => 'docker.io/library/alpine',
  },
  {
    name: 'a server that is also a mirror, once',
    hosts: { first: 404, both: 404, last: 'has all' },
    ...elsewhere((at) => server(at.both) + host(at.first) + host(at.both) + host(at.last)),
  },
  {
    name: 'content of a mirror that does not resolve tags',
    hosts: { first: 404, second: 'has all', server: 'has all' },
    ...elsewhere((at) => server(at.server) + host(at.first, '', pull) + host(at.second, '', pull)),
  },
  {
    name: 'a server that is also a mirror for content, for tags',
    hosts: { first: 404, both: 'has all' },
    ...elsewhere((at) => server(at.both) + host(at.both, '', pull) + host(at.first)),
  },
];

/**
 * What containerd (1.6) reads differently: it requests tags only from hosts with both `resolve` and `pull`, and content from
 * every host. In ocifetch `resolve` is sufficient for a tag, but not for content.
 */
export const ownHostsTomlCases: readonly Case[] = [
  {
    name: 'tags from one mirror and content from the other',
    hosts: { content: 'has all', tags: 'has all', server: 'has all' },
    ...elsewhere((at) => server(at.server) + host(at.content, '', pull) + host(at.tags, '', resolve)),
  },
  {
    name: 'a digest, which is not requested from the mirror for tags',
    hosts: { tags: 'has all', content: 404, server: 'has all' },
    ...elsewhere((at) => server(at.server) + host(at.tags, '', resolve) + host(at.content, '', pull)),
    byDigest: true,
  },
  {
    name: 'tags from the server, and content only from mirrors',
    hosts: { first: 404, second: 'has all', server: 'has all' },
    ...elsewhere((at) => `${server(at.server)}${resolve}\n${host(at.first, '', pull)}${host(at.second, '', pull)}`),
  },
  {
    name: 'a server that is also a mirror for content, for tags, after the mirror for tags',
    hosts: { both: 'has all', tags: 404 },
    ...elsewhere((at) => server(at.both) + host(at.both, '', pull) + host(at.tags, '', resolve)),
  },
];
