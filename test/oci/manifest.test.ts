import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RegistryError } from '../../src/errors.ts';
import { digestOf } from '../../src/oci/digest.ts';
import {
  isIndexType,
  isManifestType,
  kindOf,
  manifestAccept,
  mediaTypes,
  parseDocument,
  parseIndex,
  parseManifest,
  typeOfDocument,
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
  ['no schemaVersion', { ...manifest, schemaVersion: null }, ociManifest],
  ['a list of the other kind that is null', { ...index, layers: null, config: null }, ociIndex],
  ['no layers', { schemaVersion: 2, config: descriptor }, ociManifest],
])('a document with %s is read', (_, document, type) => {
  expect(() => parseDocument(json(document), type)).not.toThrow();
});

test('null in any field is as if the field was left out', () => {
  const nulls = { mediaType: null, artifactType: null, annotations: null, subject: null };
  const layer = {
    ...descriptor,
    urls: null,
    data: null,
    annotations: { a: null, b: 'c', d: 1 },
    artifactType: null,
    platform: { os: null, architecture: null, variant: null },
  };
  const image = parseManifest(json({ ...manifest, ...nulls, layers: [layer] }), ociManifest);
  expect(image).toEqual({ ...manifest, layers: [{ ...descriptor, annotations: { b: 'c' } }] });
  expect('subject' in image).toBe(false);
  const platform = { os: 'linux', architecture: 'arm64', variant: null, 'os.version': null, 'os.features': null };
  const { manifests } = parseIndex(json({ ...index, ...nulls, manifests: [{ ...descriptor, platform }] }), ociIndex);
  expect(manifests).toEqual([{ ...descriptor, platform: { os: 'linux', architecture: 'arm64' } }]);
});

test('optional fields that are empty or of another type are left out', () => {
  const odd = { urls: 'https://x', data: 'not base64', annotations: [], artifactType: '', platform: {} };
  expect(parseIndex(json({ ...index, manifests: [{ ...descriptor, ...odd }] })).manifests).toEqual([descriptor]);
  const document = {
    ...manifest,
    mediaType: '',
    artifactType: '',
    annotations: 'x',
    layers: [{ ...descriptor, urls: [] }],
  };
  expect(parseManifest(json(document), ociManifest)).toEqual({ ...manifest, layers: [{ ...descriptor, urls: [] }] });
});

describe('a descriptor that cannot be used makes only itself unreadable', () => {
  test.each([
    ['digest', 'sha256:0', '1 hex'],
    ['digest', null, 'not a string'],
    ['size', -1, 'not a number from 0 on'],
    ['size', '1', 'not a whole number of bytes'],
    ['mediaType', 'x', 'not a media type'],
  ])('with %s %j', (field, value, found) => {
    const bad = { ...descriptor, annotations: { a: 'b' }, [field]: value };
    const { layers } = parseManifest(json({ ...manifest, layers: [descriptor, bad, descriptor] }));
    expect([layers[0], layers[2]]).toEqual([descriptor, descriptor]);
    expect(layers[1]?.annotations).toEqual({ a: 'b' });
    const read = (): unknown => layers[1]?.[field as 'digest'];
    expect(read).toThrow(expect.objectContaining({ code: 'BAD_RESPONSE', reason: 'invalid-document' }));
    expect(read).toThrow(`field "layers[1].${field}" is`);
    expect(read).toThrow(found);
    const { [field]: _, ...rest } = bad as Record<string, unknown>;
    expect({ ...layers[1] }).toEqual(rest);
    for (const key of Object.keys(rest)) expect(Reflect.get(layers[1] ?? {}, key)).toEqual(rest[key]);
  });

  test.each([null, 5, 'x', []])('as %j', (value) => {
    const { manifests } = parseIndex(json({ ...index, manifests: [value, descriptor] }));
    expect(manifests).toHaveLength(2);
    expect(manifests[1]).toEqual(descriptor);
    expect(() => manifests[0]?.digest).toThrow('field "manifests[0]" is');
  });

  test('as config or subject', () => {
    const { config, subject, layers } = parseManifest(json({ layers: [descriptor], subject: {} }), ociManifest);
    expect(layers).toEqual([descriptor]);
    expect(() => config.digest).toThrow('field "config" is "undefined": not an object');
    expect(() => subject?.size).toThrow('field "subject.mediaType" is "undefined"');
  });
});

test('a layer and a config without a media type are bytes', () => {
  const { mediaType: _, ...untyped } = descriptor;
  const { config, layers } = parseManifest(json({ config: untyped, layers: [{ ...untyped, mediaType: '' }] }));
  expect([config, ...layers]).toEqual(Array(2).fill({ ...untyped, mediaType: mediaTypes.octets }));
});

describe('the type of a document', () => {
  const docker = { ...manifest, config: { ...descriptor, mediaType: mediaTypes.dockerConfig } };
  test.each<[string, unknown, string]>([
    ['an index', index, ociIndex],
    ['an index without entries', { schemaVersion: 2, manifests: null }, ociIndex],
    ['a manifest', manifest, ociManifest],
    ["a manifest with Docker's type of config", docker, dockerManifest],
    ['what names its own type', { ...docker, mediaType: ociManifest }, ociManifest],
    [
      'another artifact',
      { mediaType: 'application/vnd.oci.artifact.manifest.v1+json', blobs: [] },
      'application/vnd.oci.artifact.manifest.v1+json',
    ],
  ])('is known by what it holds: %s', (_, document, type) => {
    for (const vague of [undefined, '', 'application/json; charset=utf-8', 'text/plain', 'application/octet-stream']) {
      expect(typeOfDocument(json(document), vague)).toBe(type);
    }
  });

  test('is the given one of another artifact, whatever it holds', () => {
    const type = 'application/vnd.example.manifest.v1+json';
    for (const document of [{}, manifest, index]) expect(typeOfDocument(json(document), `${type};a=b`)).toBe(type);
    expect(() => parseDocument(json(manifest), type)).toThrow(`its type is "${type}"`);
  });

  test('of JSON that is neither a manifest nor named as anything is unknown', () => {
    expect(() => typeOfDocument(json({ a: 1 }), 'application/json')).toThrow('neither "manifests" nor "layers"');
    expect(() => typeOfDocument(json({ a: 1 }), ociManifest)).toThrow('neither "manifests" nor "layers"');
    expect(() => typeOfDocument(utf8('hello'), 'text/plain')).toThrow('not JSON');
  });
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
  ['neither', json({ schemaVersion: 2 }), ociManifest, 'neither'],
  ['an index as a manifest', json(index), ociManifest, `"manifests" in a document of type "${ociManifest}"`],
  ['a manifest as an index', json(manifest), dockerList, `"layers" in a document of type "${dockerList}"`],
  ['another mediaType', json({ ...manifest, mediaType: dockerManifest }), ociManifest, `mediaType "${dockerManifest}"`],
  ['a mediaType of the other kind', json({ ...manifest, mediaType: ociIndex }), undefined, '"layers" in a document'],
  ['a mediaType that is no string', json({ ...manifest, mediaType: 1 }), ociManifest, 'field "mediaType" is "1"'],
  ['another schemaVersion', json({ ...manifest, schemaVersion: 3 }), ociManifest, 'field "schemaVersion" is "3"'],
  [
    'layers that are no list',
    json({ ...manifest, layers: {} }),
    ociManifest,
    'field "layers" is "an object": not a list',
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

test("an image's configuration is not a manifest, though it has a field of that name", () => {
  for (const config of [{}, { Env: ['A=b'] }, null]) {
    const bytes = new TextEncoder().encode(JSON.stringify({ architecture: 'amd64', os: 'linux', config, rootfs: {} }));
    expect(() => typeOfDocument(bytes)).toThrow(expect.objectContaining({ code: 'BAD_RESPONSE' }));
  }
});
