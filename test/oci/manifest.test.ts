import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RegistryError } from '../../src/errors.ts';
import { digestOf } from '../../src/oci/digest.ts';
import {
  checkDocument,
  isIndexType,
  isManifestType,
  kindOf,
  manifestAccept,
  mediaTypes,
  parseDocument,
  parseIndex,
  parseManifest,
} from '../../src/oci/manifest.ts';

const { ociManifest, ociIndex, dockerManifest, dockerList } = mediaTypes;
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const json = (value: unknown): Uint8Array => utf8(JSON.stringify(value));
const descriptor = { mediaType: 'application/x', digest: digestOf(utf8('x')), size: 1 };
const manifest = { schemaVersion: 2, config: descriptor, layers: [descriptor] };
const index = { schemaVersion: 2, manifests: [{ ...descriptor, platform: { os: 'linux', architecture: 'amd64' } }] };

test('a manifest and an index are read, with the fields that are not known', () => {
  const image = { ...manifest, mediaType: ociManifest, subject: descriptor, annotations: { a: 'b' }, foo: [1] };
  expect(parseManifest(json(image), ociManifest)).toEqual(image);
  expect(parseIndex(json({ ...index, bar: null }), ociIndex)).toEqual({ ...index, bar: null });
});

test.each([
  ['no type given', manifest, undefined],
  [
    'parameters and another case',
    { ...manifest, mediaType: ociManifest },
    `${ociManifest.toUpperCase()}; charset=utf-8`,
  ],
  ['a vague type', { ...manifest, mediaType: dockerManifest }, 'application/json'],
  ['Docker list', { ...index, mediaType: dockerList }, dockerList],
  ['no mediaType in the document', index, dockerList],
  ['a list that Go wrote as null', { ...manifest, layers: null }, ociManifest],
])('a document with %s is read', (_, document, type) => {
  expect(() => checkDocument(json(document), type)).not.toThrow();
});

const config = JSON.stringify(descriptor);

test.each<[string, Uint8Array, string | undefined, string]>([
  ['no bytes', utf8(''), ociManifest, 'no bytes'],
  ['HTML', utf8('<!doctype html><p>x'), ociManifest, 'HTML'],
  ['HTML by its type', json(manifest), 'text/html; charset=utf-8', 'HTML'],
  ['no JSON', utf8('{"schemaVersion":2'), ociManifest, 'not JSON'],
  ['a list', utf8('[]'), ociManifest, 'not an object'],
  ['null', utf8('null'), ociManifest, 'not an object'],
  ['a byte order mark', utf8(`\uFEFF${JSON.stringify(manifest)}`), ociManifest, 'byte order mark'],
  ['no UTF-8', Uint8Array.of(0x7b, 0xff, 0x7d), ociManifest, 'not UTF-8'],
  ['manifests and layers', json({ ...manifest, ...index }), ociManifest, 'both "manifests" and "layers"'],
  ['manifests and config', json({ ...index, config: descriptor }), ociIndex, 'both "manifests" and "config"'],
  ['manifests and layers of null', json({ ...index, layers: null }), ociIndex, 'both'],
  ['neither', json({ schemaVersion: 2 }), ociManifest, 'neither'],
  ['an index as a manifest', json(index), ociManifest, `"manifests" in a document of type "${ociManifest}"`],
  ['a manifest as an index', json(manifest), dockerList, `"layers" in a document of type "${dockerList}"`],
  ['another mediaType', json({ ...manifest, mediaType: dockerManifest }), ociManifest, `mediaType "${dockerManifest}"`],
  ['a mediaType of the other kind', json({ ...manifest, mediaType: ociIndex }), undefined, '"layers" in a document'],
  ['a mediaType that is no string', json({ ...manifest, mediaType: 1 }), ociManifest, 'field "mediaType" is "1"'],
  ['another schemaVersion', json({ ...manifest, schemaVersion: 3 }), ociManifest, 'field "schemaVersion" is "3"'],
  ['no config', json({ schemaVersion: 2, layers: [] }), ociManifest, 'field "config" is "undefined"'],
  [
    'a bad digest',
    json({ ...manifest, layers: [{ ...descriptor, digest: 'sha256:0' }] }),
    ociManifest,
    'field "layers[0].digest" is "sha256:0"',
  ],
  [
    'a bad size',
    json({ ...index, manifests: [{ ...descriptor, size: -1 }] }),
    ociIndex,
    'field "manifests[0].size" is "-1"',
  ],
  [
    'a key twice',
    utf8(`{"schemaVersion":2,"layers":[],"config":${config},"layers":[]}`),
    ociManifest,
    'duplicate key "layers"',
  ],
  [
    'a key twice, once escaped',
    utf8(`{"schemaVersion":2,"layers":[],"config":${config},"l\\u0061yers" :[]}`),
    ociManifest,
    'duplicate key "layers"',
  ],
])('%s is refused', (_, bytes, type, found) => {
  expect(() => parseDocument(bytes, type)).toThrow(expect.objectContaining({ code: 'BAD_RESPONSE' }));
  expect(() => parseDocument(bytes, type)).toThrow(found);
});

test.each<[string, unknown, string]>([
  ['its type', {}, 'application/vnd.docker.distribution.manifest.v1+json'],
  ['its signed type', {}, 'application/vnd.docker.distribution.manifest.v1+prettyjws; charset=utf-8'],
  ['schemaVersion', { schemaVersion: 1, name: 'a' }, 'application/json'],
  ['fsLayers', { schemaVersion: 2, fsLayers: [] }, ociManifest],
  ['mediaType', { mediaType: 'application/vnd.docker.distribution.manifest.v1+json', layers: [] }, ''],
])('Docker schema 1 is known by %s', (_, document, type) => {
  expect(() => parseDocument(json(document), type)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }));
  expect(() => parseDocument(json(document), type)).toThrow('Docker schema 1');
});

test('a manifest is not an index, and an index is not a manifest', () => {
  expect(() => parseIndex(json(manifest))).toThrow('an image manifest where an index is expected');
  expect(() => parseManifest(json(index))).toThrow('an index where an image manifest is expected');
});

test('keys in strings, lists and different objects are not taken for the same key', () => {
  const odd = { a: '"b":{', b: [{ b: 1 }, { b: 2 }, 'a', 'a'], 'c\\': '\\', 'd"': { a: '}' }, '{': '"' };
  expect(parseManifest(json({ ...manifest, odd }))).toEqual({ ...manifest, odd });
});

test('any JSON object, written once, has no key twice', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (odd) => {
      expect(() => parseManifest(json({ ...manifest, odd }))).not.toThrow();
    }),
  );
});

test('any bytes and any JSON are read or refused with a code', () => {
  const documents = fc.oneof(
    fc.uint8Array(),
    fc.json().map(utf8),
    fc
      .tuple(fc.jsonValue(), fc.constantFrom('layers', 'config', 'manifests', 'subject', 'annotations', 'mediaType'))
      .map(([value, key]) => json({ ...manifest, [key]: value })),
  );
  fc.assert(
    fc.property(documents, (bytes) => {
      try {
        parseDocument(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(RegistryError);
        expect(['BAD_RESPONSE', 'UNSUPPORTED']).toContain((error as RegistryError).code);
      }
    }),
  );
});

test('data of forty megabytes is decoded', () => {
  const document = { ...manifest, layers: [{ ...descriptor, data: 'A'.repeat(40_000_000), size: 30_000_000 }] };
  expect(parseManifest(json(document)).layers).toHaveLength(1);
});

describe('media types', () => {
  test('select the endpoint of content', () => {
    expect([ociIndex, ociManifest, dockerList, `${dockerManifest};x=y`].map(kindOf)).toEqual(
      Array(4).fill('manifests'),
    );
    expect([mediaTypes.ociConfig, mediaTypes.ociLayer, 'application/json', ''].map(kindOf)).toEqual(
      Array(4).fill('blobs'),
    );
  });

  test('are compared in any case and without parameters', () => {
    expect(isManifestType(` ${ociManifest.toUpperCase()} ; charset=utf-8`)).toBe(true);
    expect(isIndexType(dockerList)).toBe(true);
    expect(isIndexType(ociManifest)).toBe(false);
    expect(isManifestType(ociIndex)).toBe(false);
  });

  test('are accepted in one value', () => {
    expect(manifestAccept).toBe(`${ociIndex}, ${ociManifest}, ${dockerList}, ${dockerManifest}, */*`);
  });
});
