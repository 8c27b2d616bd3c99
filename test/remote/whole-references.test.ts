import { expect, test } from 'vitest';
import { cached } from '../../src/cached/cached.ts';
import { copy } from '../../src/copy/copy.ts';
import { createClient } from '../../src/remote/client.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { samples } from '../contract/source.ts';
import { type Answer, createHosts, errorOf, refusal } from '../support/hosts.ts';

const { digest } = samples.wide.descriptor;
const down: Answer = () => {
  throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
};

/** A client of a registry and its mirror that answer like this; without an answer the mirror is not there. */
function clientOf(registry: Answer, mirror?: Answer) {
  const hosts = createHosts({ 'registry.test': registry, ...(mirror && { 'mirror.test': mirror }) });
  const mirrors = mirror ? [{ url: 'https://mirror.test' }] : [];
  return createClient({
    config: {
      registries: { 'registry.test': { mirrors } },
      shortNames: { aliases: { tool: 'registry.test/team/tool' } },
    },
    transport: hosts.transport,
    retries: { tries: 1 },
  });
}

const withSignal = { signal: AbortSignal.abort(new Error('enough')) };

type Call = (client: ReturnType<typeof createClient>, reference: string) => Promise<unknown>;
const calls: readonly (readonly [string, Call, reference: string])[] = [
  ['resolve', (client, reference) => client.resolve(reference), 'registry.test/team/app:9.9'],
  ['resolve without a tag', (client, reference) => client.resolve(reference), 'registry.test/team/app'],
  ['resolve of a digest', (client, reference) => client.resolve(reference), `registry.test/team/app@${digest}`],
  ['resolve of both', (client, reference) => client.resolve(reference), `registry.test/team/app:1@${digest}`],
  ['resolve of an alias', (client, reference) => client.resolve(reference), 'tool:9.9'],
  ['resolve for a platform', (client, text) => client.resolve(text, { platform: 'linux/arm64' }), 'registry.test/a:1'],
  ['pull', (client, reference) => client.pull(reference, { to: memoryStore() }), 'registry.test/team/app:9.9'],
  ['pull of an alias', (client, reference) => client.pull(reference, { to: memoryStore() }), 'tool'],
  ['files', (client, reference) => client.files(reference), 'registry.test/team/app:9.9'],
  [
    'fetcher.resolve',
    (client) => client.fetcher('registry.test/team/app').resolve('9.9'),
    'registry.test/team/app:9.9',
  ],
  [
    'fetch',
    async (client) => (await client.fetcher('registry.test/a').fetch(samples.wide.descriptor)).bytes(),
    `registry.test/a@${digest}`,
  ],
  [
    'a stream of fetch',
    async (client) => {
      for await (const _ of await client.fetcher('registry.test/a').fetch(samples.wide.descriptor));
    },
    `registry.test/a@${digest}`,
  ],
  ['fetchByDigest', (client) => client.fetcher('registry.test/a').fetchByDigest(digest), `registry.test/a@${digest}`],
  [
    'source.resolve',
    (client) => client.fetcher('registry.test/team/app').source.resolve('9.9'),
    'registry.test/team/app:9.9',
  ],
  ['tags', (client) => client.fetcher('registry.test/team/app').tags(), 'registry.test/team/app'],
];

test.each(calls)('%s: every error names the reference as it was given, once', async (_, call, reference) => {
  const page: Answer = () => new Response('<html>', { headers: { 'content-type': 'text/html' } });
  const slow: Answer = ({ signal }) =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  const failures: readonly (readonly [Answer, Answer?])[] = [
    [refusal(404, 'NAME_UNKNOWN')],
    [refusal(500)],
    [down],
    [page],
    [refusal(403), refusal(404)],
    [down, refusal(503)],
  ];
  for (const [registry, mirror] of failures) {
    const { message } = await errorOf(call(clientOf(registry, mirror), reference));
    expect(message).toContain(`"${reference}"`);
    expect(message.split(`"${reference}"`)).toHaveLength(2);
  }
  const client = clientOf(slow);
  setTimeout(() => void client.close(), 20);
  const closed = await errorOf(call(client, reference));
  expect(closed).toMatchObject({ code: 'CLOSED', message: expect.stringContaining(`"${reference}": `) });
});

test('an aborted call names its reference, and keeps the reason as its cause', async () => {
  const client = clientOf(refusal(500));
  const name = 'registry.test/team/app:9.9';
  const aborted = [
    client.resolve(name, withSignal),
    client.files(name, withSignal),
    client.pull(name, { to: memoryStore(), ...withSignal }),
  ];
  const messages = await Promise.all(aborted.map(async (call) => (await errorOf(call)).message));
  expect(messages).toEqual(
    ['resolve', 'resolve', 'pull'].map((verb) => `Cannot ${verb} "${name}": it was aborted: enough`),
  );
  expect(await errorOf(client.resolve(name, withSignal))).toMatchObject({
    code: 'ABORTED',
    reference: name,
    cause: { message: 'enough' },
  });
});

test('a tag that is left out is named as the one that is not there', async () => {
  const error = await errorOf(clientOf(refusal(404, 'MANIFEST_UNKNOWN')).resolve('registry.test/team/app'));
  expect(error).toMatchObject({
    reference: 'registry.test/team/app',
    message:
      'Cannot resolve "registry.test/team/app": tag "latest" is not at registry.test (status 404, MANIFEST_UNKNOWN "no")',
  });
});

test('a fetch of a source, and its lists, name the reference', async () => {
  const { source } = clientOf(refusal(500)).fetcher('registry.test/a');
  const whole = `"registry.test/a@${digest}"`;
  expect((await errorOf(source.fetch(samples.wide.descriptor))).message).toContain(whole);
  expect((await errorOf(source.referrers(digest))).message).toContain(whole);
  expect((await errorOf(source.tags())).message).toContain('"registry.test/a"');
  const copied = await errorOf(copy(cached(source, memoryStore()), memoryStore(), digest));
  expect(copied.message).toContain(`Cannot copy ${whole}: `);
  const tagged = await errorOf(copy(source, memoryStore(), '9.9'));
  expect(tagged).toMatchObject({
    reference: 'registry.test/a:9.9',
    message: expect.stringContaining('Cannot copy "registry.test/a:9.9": '),
  });
});
