import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { rowsOf } from '../../src/files/toc-rows.ts';
import { parseDocument } from '../../src/oci/manifest.ts';
import { createClient } from '../../src/remote/client.ts';
import { layoutStore } from '../../src/store/layout.ts';
import { readJson } from '../../src/text/json.ts';
import { createHosts } from '../support/hosts.ts';
import { contentOf, layerOf } from '../support/layers.ts';

const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
const deep = nested(100_000);

test('JSON is read up to a thousand levels, of lists and objects, whatever its texts hold', () => {
  expect(readJson(nested(1_000))).toHaveProperty('value');
  expect(readJson(nested(1_001))).toEqual({ found: 'JSON with more than 1000 levels' });
  expect(readJson(`${'{"a":'.repeat(1_001)}5${'}'.repeat(1_001)}`)).toHaveProperty('found');
  expect(readJson(JSON.stringify(['['.repeat(5_000), '\\"[{'.repeat(5_000)]))).toHaveProperty('value');
  expect(readJson(`[${'[],'.repeat(5_000)}5]`)).toHaveProperty('value');
  expect(readJson('[5')).toMatchObject({ found: 'not JSON' });
  expect(readJson(deep)).toHaveProperty('found');
});

test('a manifest that is nested too deeply is a bad response', () => {
  for (const field of ['annotations', 'config', 'layers', 'x']) {
    const text = `{"schemaVersion":2,"manifests":[],"${field}":${deep}}`;
    expect(() => parseDocument(new TextEncoder().encode(text))).toThrow('JSON with more than 1000 levels');
  }
});

test('a table of contents that is nested too deeply cannot be used', () => {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  expect(() => rowsOf(bytes(`{"version":${deep}}`))).toThrow('more than 1000 levels');
  const entry = `{"version":1,"entries":[{"size":${deep}}]}`;
  expect(() => rowsOf(bytes(entry))).toThrow('more than 1000 levels');
});

/** What a client makes of a host that answers every request with this text. */
async function codesOf(text: string, status: number, type: string): Promise<unknown[]> {
  const { transport } = createHosts({
    'origin.test': () => new Response(text, { status, headers: { 'content-type': type } }),
  });
  const client = createClient({ transport, retries: { tries: 1 } });
  const outcomes = await Promise.allSettled([
    client.resolve('origin.test/a:b', { content: true }),
    client.fetcher('origin.test/a').tags(),
    client.fetcher('origin.test/a').referrers(`sha256:${'0'.repeat(64)}`),
  ]);
  return outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.reason.code : 'fulfilled'));
}

test.each([`{"schemaVersion":2,"manifests":${deep}}`, `{"name":"a","tags":${deep}}`, deep])(
  'documents and lists that are nested too deeply are bad responses',
  async (text) => {
    const codes = await codesOf(text, 200, 'application/vnd.oci.image.index.v1+json');
    expect(codes).toEqual(['BAD_RESPONSE', 'BAD_RESPONSE', 'BAD_RESPONSE']);
  },
);

test('of an error that is nested too deeply the status counts', async () => {
  expect(await codesOf(`{"errors":${deep}}`, 403, 'application/json')).toEqual(['DENIED', 'DENIED', 'DENIED']);
});

test('a token response that is nested too deeply is a bad response', async () => {
  const challenge = { 'www-authenticate': 'Bearer realm="https://origin.test/token"' };
  const { transport } = createHosts({
    'origin.test': ({ url }) =>
      url.includes('/token')
        ? new Response(`{"token":${deep}}`)
        : new Response('', { status: 401, headers: challenge }),
  });
  const client = createClient({ transport, retries: { tries: 1 } });
  await expect(client.resolve('origin.test/a:b')).rejects.toMatchObject({ code: 'BAD_RESPONSE' });
});

test('content that is nested too deeply is read, but not as JSON', async () => {
  const { content } = await contentOf(layerOf(Buffer.from(deep)));
  await expect(content.json()).rejects.toMatchObject({ code: 'BAD_RESPONSE' });
  expect(await content.text()).toBe(deep);
});

test('a layout whose index is nested too deeply is refused, and nothing is written into it', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'ocifetch-deep-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  await writeFile(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  await writeFile(join(directory, 'index.json'), `{"schemaVersion":2,"x":${deep},"manifests":[]}`);
  const store = layoutStore(directory);
  for (const work of [() => store.resolve('a'), () => store.untag('a'), () => store.gc(), () => store.verify()])
    await expect(work()).rejects.toMatchObject({ code: 'STORE_ERROR' });
});
