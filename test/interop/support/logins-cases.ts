import type { At, Case } from './configured.ts';

/** The login of a key, recognizable by its user name. */
const loginOf = (key: string): object => ({
  auth: Buffer.from(`${key.replaceAll(':', '_')}:secret`).toString('base64'),
});

const authsOf = (...keys: readonly string[]): object => Object.fromEntries(keys.map((key) => [key, loginOf(key)]));

/** Mirrors of a registry that is never contacted. */
const mirrored = (...mirrors: readonly object[]): string =>
  JSON.stringify({ registries: { 'registry.invalid': { mirrors, origin: 'never' } } });

const repository = (at: At): string => `${at.registry}/team/app`;

/** Docker's config.json: which host a login is sent to, and what is not sent to registries. */
export const dockerConfigCases: readonly Case[] = [
  {
    name: 'a login of the registry, and one of another registry',
    hosts: { registry: 404 },
    files: (at) => ({ 'config.json': JSON.stringify({ auths: authsOf(`${at.registry}`, 'other.invalid') }) }),
    repository,
  },
  {
    name: 'a login of each mirror that has one',
    hosts: { first: 404, second: 404, third: 404 },
    files: (at) => ({
      'config.json': JSON.stringify({ auths: authsOf(`${at.first}`, `${at.third}`, 'registry.invalid') }),
      'ocifetch.json': mirrored(...[at.first, at.second, at.third].map((host) => ({ url: `http://${host}` }))),
    }),
    repository: () => 'registry.invalid/team/app',
  },
  {
    name: 'an identity token, and HttpHeaders, which are not sent to registries',
    hosts: { registry: 404 },
    files: (at) => ({
      'config.json': JSON.stringify({
        auths: { [`${at.registry}`]: { identitytoken: `${at.registry}`.replace(':', '_') } },
        HttpHeaders: { 'X-Meta': 'not sent' },
      }),
    }),
    repository,
  },
  {
    name: 'a helper before a login in the file',
    hosts: { registry: 404 },
    files: (at) => ({
      'config.json': JSON.stringify({
        auths: authsOf(`${at.registry}`),
        credHelpers: { [`${at.registry}`]: 'interop' },
      }),
      'bin/docker-credential-interop':
        '#!/bin/sh\necho \'{"Username":"docker-credential-interop","Secret":"secret"}\'\n',
    }),
    repository,
  },
  {
    name: 'a proxy, except for exempt hosts and this machine',
    hosts: { proxy: 404, near: 404 },
    files: (at) => ({
      'config.json': JSON.stringify({
        proxies: { default: { httpProxy: `http://user:secret@${at.proxy}`, noProxy: 'exempt.invalid' } },
      }),
      'ocifetch.json': mirrored({ url: 'http://far.invalid/prefix' }, { url: `http://${at.near}` }),
    }),
    repository: () => 'registry.invalid/team/app',
  },
];

/** Podman's auth.json, whose keys may have paths: the longest that matches the name sent to the host is used. */
export const authFileCases: readonly Case[] = [
  {
    name: 'the login of the longest path',
    hosts: { registry: 404 },
    files: (at) => ({
      'auth.json': JSON.stringify({
        auths: authsOf(`${at.registry}`, `${at.registry}/team`, `${at.registry}/te`, `${at.registry}/team/application`),
      }),
    }),
    repository,
  },
  {
    name: 'the login of the whole repository',
    hosts: { registry: 404 },
    files: (at) => ({ 'auth.json': JSON.stringify({ auths: authsOf(`${at.registry}/team/app`, `${at.registry}`) }) }),
    repository,
  },
  {
    name: 'no login, if all are for other paths',
    hosts: { registry: 404 },
    files: (at) => ({ 'auth.json': JSON.stringify({ auths: authsOf(`${at.registry}/other`, 'elsewhere.invalid') }) }),
    repository,
  },
  {
    name: 'the login of the rewritten path of a mirror',
    hosts: { mirror: 404, plain: 404 },
    files: (at) => ({
      'auth.json': JSON.stringify({
        auths: authsOf(`${at.mirror}/cache`, `${at.mirror}/team`, `${at.plain}/cache`, `${at.plain}/team`),
      }),
      'ocifetch.json': mirrored(
        { url: `http://${at.mirror}`, rewrites: [{ pattern: '^', replacement: 'cache/' }] },
        { url: `http://${at.plain}` },
      ),
    }),
    repository: () => 'registry.invalid/team/app',
  },
];
