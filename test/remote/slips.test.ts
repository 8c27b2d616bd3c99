import { expect, test } from 'vitest';
import { cached } from '../../src/cached/cached.ts';
import { convertConfig } from '../../src/config/convert.ts';
import { loadConfig, loadConfigText } from '../../src/config/load.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { redactConfig } from '../../src/config/redact-config.ts';
import { copy } from '../../src/copy/copy.ts';
import { listFiles, openFile } from '../../src/files/layer.ts';
import { fetchTransport } from '../../src/http/fetch-transport.ts';
import { undiciTransport } from '../../src/http/undici.ts';
import { createClient } from '../../src/remote/client.ts';
import { createResolver } from '../../src/remote/plan.ts';
import { tokenAccess } from '../../src/server/access/tokens.ts';
import { listen } from '../../src/server/listen.ts';
import { serve } from '../../src/server/registry/serve.ts';
import { layoutStore } from '../../src/store/layout.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { samples } from '../contract/source.ts';
import { createHosts, errorOf, sampleHost } from '../support/hosts.ts';

class Settings {
  readonly timeouts = { connect: 1 };
}

const client = () => createClient({ transport: createHosts({}).transport });
const fetcher = () => client().fetcher('registry.test/app');
const { descriptor } = samples.wide;

type Call = (given: never) => unknown;

/** Every function that takes options or a configuration. */
const calls: readonly (readonly [string, Call])[] = [
  ['createClient', (given) => createClient(given)],
  ['createClient config', (given) => createClient({ config: given })],
  ['createClient registries', (given) => createClient({ config: { registries: given } })],
  ['createClient limits', (given) => createClient({ limits: given })],
  ['createResolver', (given) => createResolver(given)],
  ['parseConfig', (given) => parseConfig(given)],
  ['a registry', (given) => parseConfig({ registries: { 'a.test': given } })],
  ['an origin', (given) => parseConfig({ registries: { 'a.test': { origin: given } } })],
  ['credentials', (given) => parseConfig({ credentials: given })],
  ['proxy', (given) => parseConfig({ proxy: given })],
  ['convertConfig config', (given) => convertConfig(given, 'ocifetch')],
  ['convertConfig', (given) => convertConfig({}, 'ocifetch', given)],
  ['redactConfig', (given) => redactConfig(given)],
  ['loadConfig', (given) => loadConfig(given)],
  ['loadConfigText', (given) => loadConfigText('/there/is/none', given)],
  ['resolve', (given) => client().resolve('registry.test/app', given)],
  ['pull', (given) => client().pull('registry.test/app', given)],
  ['files', (given) => client().files('registry.test/app', given)],
  ['fetcher.resolve', (given) => fetcher().resolve('v1', given)],
  ['fetch', (given) => fetcher().fetch(descriptor, given)],
  ['fetchByDigest', (given) => fetcher().fetchByDigest(descriptor.digest, given)],
  ['tags', (given) => fetcher().tags(given)],
  ['referrers', (given) => fetcher().referrers(descriptor.digest, given)],
  ['copy', (given) => copy(memoryStore(), memoryStore(), 'v1', given)],
  ['listFiles', async (given) => listFiles(await fetcher().fetch(descriptor), given).next()],
  ['openFile', async (given) => openFile(await fetcher().fetch(descriptor), 'a', given)],
  ['cached', (given) => cached(memoryStore(), memoryStore(), given)],
  ['verify', (given) => layoutStore('/there/is/none').verify(given)],
  ['gc', (given) => layoutStore('/there/is/none').gc(given)],
  ['fetchTransport', (given) => fetchTransport(undefined, given)],
  ['undiciTransport', (given) => undiciTransport(given)],
  ['serve', (given) => serve(() => memoryStore(), given)],
  ['tokenAccess', (given) => tokenAccess(given)],
  [
    'listen',
    (given) =>
      listen(
        serve(() => memoryStore()),
        given,
      ),
  ],
];

test.each(calls)('%s refuses a promise, a Map and an instance of a class', async (_, call) => {
  for (const [given, words] of [
    [Promise.resolve({}), 'a promise (write "await" before it)'],
    [new Map([['registries', {}]]), 'an instance of Map'],
    [new Settings(), 'an instance of Settings'],
  ] as const) {
    const error = await errorOf((async () => call(given as never))());
    expect(error.code).toBe('INVALID_CONFIG');
    expect(error.message).toContain(`found ${words}, expected`);
  }
});

test('objects with defaults in their prototype, without one, and of another realm are plain', async () => {
  const { runInNewContext } = await import('node:vm');
  for (const config of [Object.create({ warnings: ['w'] }), Object.create(null), runInNewContext('({ proxy: {} })')]) {
    expect(() => createClient({ config })).not.toThrow();
  }
});

test('fetch says what to write for what is not a descriptor', async () => {
  const hosts = createHosts({ 'registry.test': await sampleHost() });
  const app = createClient({ transport: hosts.transport }).fetcher('registry.test/app');
  const resolving = app.resolve(samples.manifest.descriptor.digest);
  const message = async (given: unknown) => (await errorOf(app.fetch(given as typeof descriptor))).message;
  const start = 'Cannot read descriptor: found';
  expect(await message(await resolving)).toBe(
    `${start} what "resolve" returns, expected its descriptor: write ".descriptor" after it`,
  );
  expect(await message(resolving)).toBe(`${start} a promise (write "await" before it), expected a descriptor`);
  expect(await message(descriptor.digest)).toBe(
    `${start} "${descriptor.digest}", expected a descriptor: "fetchByDigest" takes a digest`,
  );
});

test.each([
  ['docker://alpine:3.20', 'a URL where a reference is expected: write "alpine:3.20"'],
  ['oci://ghcr.io/charts/app:1', 'a URL where a reference is expected: write "ghcr.io/charts/app:1"'],
  ['https://ghcr.io/team/app', 'a URL where a reference is expected: write "ghcr.io/team/app"'],
  ['oci:ghcr.io/team/app:1', '"oci:" is not part of a reference: write "ghcr.io/team/app:1"'],
  ['docker:alpine:3.20', '"docker:" is not part of a reference: write "alpine:3.20"'],
  ['docker-daemon:team/app:1', '"docker-daemon:" is not part of a reference: write "team/app:1"'],
  ['oci:/srv/images/app:1', '"oci:" is not part of a reference, and what follows is none'],
  ['https://hub.docker.com/_/alpine', 'a URL where a reference is expected, without a scheme'],
])('%s: the message says what to write', (text, problem) => {
  expect(() => client().plan(text)).toThrow(`Cannot parse reference "${text}": ${problem}`);
});

test('names that look like a scheme stay references', () => {
  expect(client().plan('docker:dind').reference).toMatchObject({ name: 'library/docker', tag: 'dind' });
  expect(client().plan('oci:5000/app').reference).toMatchObject({ registry: 'oci:5000', name: 'app' });
});
