import type { At, Case } from './configured.ts';

const file = (config: object): Readonly<Record<string, string>> => ({ 'ocifetch.json': JSON.stringify(config) });

const elsewhere = (registry: (at: At) => object): Pick<Case, 'files' | 'repository'> => ({
  files: (at) => file({ registries: { 'registry.invalid': registry(at) } }),
  repository: () => 'registry.invalid/team/app',
});

const url = (authority: string | undefined, path = ''): string => `http://${authority}${path}`;

/** Ocifetch's own file. */
export const ownFileCases: readonly Case[] = [
  {
    name: 'a rewrite, a header and an API root for each mirror, and an origin at another host',
    hosts: { first: 404, second: 404, origin: 404 },
    ...elsewhere((at) => ({
      mirrors: [
        {
          url: url(at.first, '/prefix'),
          headers: { 'X-Key': 'secret' },
          rewrites: [
            { pattern: '^other/', replacement: 'never/' },
            { pattern: '^team/(.*)$', replacement: 'cache/$1' },
          ],
        },
        { url: url(at.second, '/api'), overridePath: true, headers: { 'x-b': '1', 'x-a': '2' } },
      ],
      origin: { url: url(at.origin) },
    })),
  },
  {
    name: 'a tag, from hosts that resolve',
    hosts: { content: 404, tags: 404, both: 404 },
    ...elsewhere((at) => ({
      mirrors: [
        { url: url(at.content), capabilities: ['pull'] },
        { url: url(at.tags), capabilities: ['resolve'] },
        { url: url(at.both) },
      ],
      origin: 'never',
    })),
  },
  {
    name: 'a digest, from hosts with content',
    hosts: { content: 404, tags: 404, both: 404 },
    ...elsewhere((at) => ({
      mirrors: [
        { url: url(at.content), capabilities: ['pull'] },
        { url: url(at.tags), capabilities: ['resolve'] },
        { url: url(at.both) },
      ],
      origin: 'never',
    })),
    byDigest: true,
  },
  {
    name: 'the longest path, and logins by path',
    hosts: { host: 404, team: 404 },
    files: (at) =>
      file({
        registries: {
          'registry.invalid': { mirrors: [{ url: url(at.host) }], origin: 'never' },
          'registry.invalid/team': {
            mirrors: [{ url: url(at.team) }, { url: url(at.host, '/team') }],
            origin: 'never',
          },
        },
        credentials: Object.fromEntries(
          [`${at.team}/team`, `${at.team}`, `${at.host}`].map((key) => [
            key,
            { username: key.replace(':', '_'), password: 'secret' },
          ]),
        ),
      }),
    repository: () => 'registry.invalid/team/app',
  },
  {
    name: 'a domain, and a rewrite that excludes one mirror',
    hosts: { domain: 404, all: 404, left: 404 },
    files: (at) =>
      file({
        registries: {
          '*.invalid': {
            mirrors: [
              { url: url(at.left), rewrites: [{ pattern: '.*', replacement: 'A' }] },
              { url: url(at.domain), rewrites: [{ pattern: '/', replacement: '-' }] },
            ],
            origin: 'never',
          },
          '*': { mirrors: [{ url: url(at.all) }] },
        },
      }),
    repository: () => 'registry.invalid/team/app',
  },
];
