import { expect, test } from 'vitest';
import { readAll } from '../../src/body.ts';
import { createLiars } from '../../src/content/attempts.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { createDocumentsAtHand, documentSource } from '../../src/remote/at-hand.ts';

const endpoint = { url: 'https://a.test/v2', repository: 'app', scopes: [], capabilities: [] };
const read = (length: number) => ({ bytes: new Uint8Array(length), endpoint, request: 'https://a.test/v2/app' });
const app = { registry: 'a.test', name: 'app' };

test('documents stay at hand up to a limit, the oldest are dropped first, and each repository has its own', () => {
  const documents = createDocumentsAtHand(10);
  documents.put(app, 'sha256:1', read(6));
  expect(documents.get(app, 'sha256:1')?.bytes).toHaveLength(6);
  expect(documents.get({ ...app, name: 'other' }, 'sha256:1')).toBeUndefined();
  documents.put(app, 'sha256:1', read(6));
  documents.put(app, 'sha256:2', read(4));
  expect(documents.get(app, 'sha256:1')?.bytes).toHaveLength(6);
  documents.put(app, 'sha256:3', read(1));
  expect([
    documents.get(app, 'sha256:1'),
    documents.get(app, 'sha256:2')?.bytes.length,
    documents.get(app, 'sha256:3')?.bytes.length,
  ]).toEqual([undefined, 4, 1]);
  documents.put(app, 'sha256:4', read(11));
  expect(documents.get(app, 'sha256:4')).toBeUndefined();
});

test('the document at hand is a copy, and so is each body of it, also of a Buffer', async () => {
  const documents = createDocumentsAtHand();
  const bytes = Buffer.from('{"a":1}');
  const digest = digestOf(bytes);
  documents.put(app, digest, { bytes, endpoint, request: 'https://a.test/v2/app/manifests/1' });
  bytes.fill(0);
  const source = documentSource(documents, app);
  const target = { mediaType: 'text/plain', digest, size: bytes.length };
  for (const _ of [1, 2]) {
    const fetched = await source.fetch(target);
    expect([fetched.from, fetched.request]).toEqual(['https://a.test/v2', 'https://a.test/v2/app/manifests/1']);
    const got = await readAll(fetched.body, 100, 'it');
    expect(Buffer.from(got).toString()).toBe('{"a":1}');
    got.fill(0);
  }
});

test('who lied alone is asked last; of several who gave the bytes, the one that came last is asked first', () => {
  const liars = createLiars();
  expect(liars.of('sha256:1')).toEqual([]);
  liars.remember('sha256:1', ['a', 'b', 'c']);
  expect(liars.of('sha256:1')).toEqual(['c', 'b', 'a']);
  liars.remember('sha256:1', ['c']);
  expect(liars.of('sha256:1')).toEqual(['b', 'a', 'c']);
  liars.remember('sha256:1', ['d', 'a']);
  expect(liars.of('sha256:1')).toEqual(['a', 'd', 'b', 'c']);
  expect(liars.of('sha256:2')).toEqual([]);
});

test('liars are remembered for so many contents, the oldest is forgotten', () => {
  const liars = createLiars(2);
  for (const digest of ['1', '2', '3']) liars.remember(digest, ['a']);
  expect(['1', '2', '3'].map((digest) => liars.of(digest).length)).toEqual([0, 1, 1]);
});
