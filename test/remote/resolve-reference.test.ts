import { expect, test } from 'vitest';
import { mediaTypes } from '../../src/oci/manifest.ts';
import { parsePlatform } from '../../src/oci/platform.ts';
import { createClient } from '../../src/remote/client.ts';
import type { ClientOptions } from '../../src/remote/client-options.ts';
import type { ResolveOptions } from '../../src/remote/fetcher.ts';
import { failsWith, sampleOf } from '../contract/source.ts';
import { attestation, type Built, entry, image, index } from '../copy/support.ts';
import { type Answer, createHosts, errorOf, sampleHost, text } from '../support/hosts.ts';

const on = (platform: string): Built => entry(image(platform, { platform }), { on: platform });
const [amd64, armv6, armv7, arm64] = [on('linux/amd64'), on('linux/arm/v6'), on('linux/arm/v7'), on('linux/arm64')];
const app = index(amd64, attestation('provenance'), armv6, armv7, arm64);
const nested = index(amd64, index(armv6, index(armv7)), index(armv6, index(armv7)), on('linux/s390x'));
const digestOf = ({ root }: Built): string => root.descriptor.digest;

interface Registry {
  readonly origin?: (next: Answer) => Answer;
  readonly mirror?: Answer;
  readonly options?: ClientOptions;
}

/** A client of a registry that holds what was built as `latest`, and the paths that it was asked for. */
async function registry(built: Built, { origin = (next) => next, mirror, options }: Registry = {}) {
  const { root, parts } = built;
  const host = await sampleHost([...parts, { ...root, tag: 'latest' }]);
  const hosts = createHosts({ 'origin.test': origin(host), ...(mirror && { 'mirror.test': mirror }) });
  const client = createClient({ transport: hosts.transport, retries: { tries: 1 }, ...options });
  const log = (): string[] => hosts.log().map((line) => line.replace(/https:\/\/(\w+)\.test\/v2\/app/, '$1'));
  return { ...hosts, client, log };
}

async function resolved(built: Built, options: ResolveOptions, reference = 'origin.test/app') {
  const { client, log } = await registry(built);
  return { ...(await client.resolve(reference, options)), log: log() };
}

const cases: readonly [platform: string, chosen: Built][] = [
  ['linux/amd64', amd64],
  ['linux/amd64/v3', amd64],
  ['linux/arm/v7', armv7],
  ['linux/arm/v6', armv6],
  ['linux/arm64/v8', arm64],
];
test.each(cases)(
  'for %s it is the image that runs best, as the index has it, for one request',
  async (platform, chosen) => {
    const found = await resolved(app, { platform });
    expect(found).toEqual({
      reference: { registry: 'origin.test', name: 'app', tag: 'latest' },
      descriptor: chosen.root.descriptor,
      warnings: [],
      log: ['GET origin/manifests/latest'],
    });
    expect((await resolved(app, { platform: parsePlatform(platform) })).descriptor).toEqual(chosen.root.descriptor);
  },
);

test('with content the fetch that follows makes no request, and the index is not requested again', async () => {
  const { client, log } = await registry(app);
  const { descriptor } = await client.resolve('origin.test/app', { platform: 'linux/arm64', content: true });
  const asked = ['GET origin/manifests/latest', `GET origin/manifests/${digestOf(arm64)}`];
  expect(log()).toEqual(asked);
  const fetcher = client.fetcher('origin.test/app');
  for (const target of [descriptor, app.root.descriptor]) {
    await using content = await fetcher.fetch(target);
    expect(await content.json()).toMatchObject({ schemaVersion: 2 });
    expect(content.source).toBe('https://origin.test/v2');
  }
  expect(log()).toEqual(asked);
});

test('nested indexes are read, each requested once', async () => {
  const { descriptor, log } = await resolved(nested, { platform: 'linux/arm/v7' });
  expect(descriptor).toEqual(armv7.root.descriptor);
  const asked = ['latest', digestOf(index(armv6, index(armv7))), digestOf(index(armv7))];
  expect(log).toEqual(asked.map((reference) => `GET origin/manifests/${reference}`));
  expect((await resolved(nested, { platform: 'linux/s390x' })).log).toHaveLength(1);
});

test('an index for a platform is chosen from again', async () => {
  const variants = entry(index(armv6, armv7), { platform: { os: 'linux', architecture: 'arm' } });
  const { descriptor } = await resolved(index(amd64, variants), { platform: 'linux/arm/v7' });
  expect(descriptor).toEqual(armv7.root.descriptor);
});

test('where none fits, those that there are are listed, under the name that was asked for', async () => {
  const { client, log } = await registry(app);
  const found = 'there are linux/amd64, linux/arm/v6, linux/arm/v7, linux/arm64; choose one with platform';
  const references = [
    'origin.test/app:latest',
    `origin.test/app@${digestOf(app)}`,
    `origin.test/app:x@${digestOf(app)}`,
  ];
  for (const reference of references) {
    const error = await errorOf(client.resolve(reference, { platform: 'linux/riscv64' }));
    expect(error.code).toBe('NOT_FOUND');
    expect(error.message).toBe(`Cannot choose an image of "${reference}" for linux/riscv64: ${found}`);
  }
  expect(log().every((line) => line.startsWith('GET origin/manifests/'))).toBe(true);
});

test('an image that does not say what it is for is given where there is no other', async () => {
  const plain = entry(image('plain'));
  const only = await resolved(index(plain, attestation('provenance')), { platform: 'linux/amd64' });
  expect(only.descriptor).toEqual(plain.root.descriptor);
  for (const built of [index(plain, entry(image('another'))), index(plain, on('linux/s390x'))]) {
    const { client } = await registry(built);
    const resolving = client.resolve('origin.test/app', { platform: 'linux/amd64' });
    await expect(resolving).rejects.toEqual(failsWith('NOT_FOUND'));
  }
});

test('a single image is given as it is, whatever its config says, and so is a blob', async () => {
  const single = image('single', { platform: 'linux/s390x' });
  for (const content of [false, true]) {
    const { descriptor, log } = await resolved(single, { platform: 'linux/amd64', content });
    expect(descriptor).toEqual(single.root.descriptor);
    expect(log).toEqual(['GET origin/manifests/latest']);
  }
  const { digest } = single.parts[0]?.descriptor ?? single.root.descriptor;
  const blob = await resolved(single, { platform: 'linux/amd64' }, `origin.test/app@${digest}`);
  expect(blob.descriptor.digest).toBe(digest);
});

test.each([['nonsense/'], ['all'], [''], [{ os: 'linux' }], [['linux/amd64']], [7], [null]])(
  '%j is no platform, which is told before any request',
  async (given) => {
    const { client, log } = await registry(app);
    const platform = given as string;
    for (const resolving of [
      client.resolve('origin.test/app', { platform }),
      client.fetcher('origin.test/app').resolve('latest', { platform }),
    ]) {
      await expect(resolving).rejects.toEqual(failsWith('INVALID_REFERENCE'));
    }
    expect(log()).toEqual([]);
  },
);

test('a fetcher chooses as its client does', async () => {
  const { client } = await registry(app);
  const fetcher = client.fetcher('origin.test/app');
  const { descriptor } = await fetcher.resolve('latest', { platform: 'linux/arm64' });
  expect(descriptor).toEqual(arm64.root.descriptor);
  const byDigest = fetcher.resolve(digestOf(app), { platform: 'plan9/mips' });
  await expect(byDigest).rejects.toThrow(`Cannot choose an image of "origin.test/app@${digestOf(app)}" for plan9/mips`);
});

test('indexes nested more than 16 deep are refused, and so are too many of them', async () => {
  let deep = index(armv7);
  for (let level = 1; level < 17; level++) deep = index(entry(deep));
  const tooDeep = await errorOf(resolved(deep, { platform: 'linux/arm/v7' }));
  expect([tooDeep.code, tooDeep.message]).toEqual(['BAD_RESPONSE', expect.stringContaining('more than 16 deep')]);
  const empty = (place: number): Built => {
    const root = sampleOf(
      text(`{"schemaVersion":2,"manifests":[],"annotations":{"":"${place}"}}`),
      mediaTypes.ociIndex,
    );
    const data = Buffer.from(root.bytes).toString('base64');
    return { root: { ...root, descriptor: { ...root.descriptor, data } }, parts: [] };
  };
  const wide = index(...Array.from({ length: 1_000 }, (_, place) => empty(place)));
  const tooMany = await errorOf(resolved(wide, { platform: 'linux/arm/v7' }));
  expect([tooMany.code, tooMany.message]).toEqual([
    'TOO_LARGE',
    expect.stringContaining('Cannot read the indexes of "origin.test/app": more than 1000'),
  ]);
});

test('an index in the index that one host has wrong is read from the next', async () => {
  const inner = index(armv7);
  const { parts, root } = index(amd64, inner);
  const good = await sampleHost([...parts, { ...root, tag: 'latest' }]);
  const wrong: Answer = (request) =>
    request.url.includes(digestOf(inner)) ? new Response(' '.repeat(inner.root.bytes.length)) : good(request);
  const mirrors = [{ url: 'https://mirror.test' }];
  const options = { config: { registries: { 'origin.test': { mirrors } } } };
  const { client, log } = await registry(index(amd64, inner), { mirror: wrong, options });
  const { descriptor } = await client.resolve('origin.test/app', { platform: 'linux/arm/v7' });
  expect(descriptor).toEqual(armv7.root.descriptor);
  expect(log()).toEqual([
    'GET mirror/manifests/latest?ns=origin.test',
    `GET mirror/manifests/${digestOf(inner)}?ns=origin.test`,
    `GET origin/manifests/${digestOf(inner)}`,
  ]);
});

test('the warnings of every index that was read are reported, without duplicates', async () => {
  const inner = index(armv7);
  const origin =
    (next: Answer): Answer =>
    async (request) => {
      const response = await next(request);
      const word = request.url.includes(digestOf(inner)) ? 'inner' : 'outer';
      response.headers.append('warning', `299 - "${word}"`);
      return response;
    };
  const { client } = await registry(index(amd64, inner), { origin });
  const { warnings } = await client.resolve('origin.test/app', { platform: 'linux/arm/v7', content: true });
  expect(warnings).toEqual(['outer', 'inner']);
});

test('one operation is all of it: a time limit, a signal and closing end the reading of an index in the index', async () => {
  const inner = index(armv7);
  const hanging =
    (ending: () => void) =>
    (next: Answer): Answer =>
    (request) => {
      if (!request.url.includes(digestOf(inner))) return next(request);
      ending();
      return new Promise<Response>(() => {});
    };
  const platform = 'linux/arm/v7';
  const slow = await registry(index(amd64, inner), {
    origin: hanging(() => {}),
    options: { timeouts: { operation: 200 } },
  });
  const late = await errorOf(slow.client.resolve('origin.test/app', { platform }));
  expect(late).toMatchObject({ code: 'TIMEOUT' });
  const controller = new AbortController();
  const stopped = await registry(index(amd64, inner), { origin: hanging(() => controller.abort(new Error('enough'))) });
  const resolving = stopped.client.resolve('origin.test/app', { platform, signal: controller.signal });
  await expect(resolving).rejects.toEqual(failsWith('ABORTED'));
  const closed: { close?: () => unknown } = {};
  const ended = await registry(index(amd64, inner), { origin: hanging(() => void closed.close?.()) });
  closed.close = () => ended.client.close();
  await expect(ended.client.resolve('origin.test/app', { platform })).rejects.toEqual(failsWith('CLOSED'));
});
