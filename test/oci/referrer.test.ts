import { expect, test } from 'vitest';
import { mediaTypes } from '../../src/oci/manifest.ts';
import { isOfType, referrerOf, referrersTag } from '../../src/oci/referrer.ts';
import { documentOf, referring } from '../contract/lists.ts';
import { type Sample, sampleOf, samples } from '../contract/source.ts';

const { config, manifest } = samples;
const read = ({ bytes, descriptor }: Sample) => referrerOf(bytes, descriptor);

test('a manifest with a subject is described with its own type, or that of its config', () => {
  expect(read(referring.plain)).toEqual({
    subject: manifest.descriptor.digest,
    descriptor: { ...referring.plain.descriptor, artifactType: config.descriptor.mediaType },
  });
  const artifactType = 'application/vnd.example.signature';
  expect(read(referring.signature)?.descriptor).toMatchObject({ artifactType, annotations: {} });
  const empty = { config: config.descriptor, layers: [], subject: manifest.descriptor, artifactType: '' };
  const { mediaType } = config.descriptor;
  expect(read(documentOf(mediaTypes.ociManifest, empty))?.descriptor.artifactType).toBe(mediaType);
});

test('an index without a type of its own has none', () => {
  expect(read(referring.untyped)?.descriptor).toEqual(referring.untyped.descriptor);
});

test('what has no subject, and what is not a manifest, refers to nothing', () => {
  expect(read(manifest)).toBeUndefined();
  expect(read(sampleOf(new TextEncoder().encode('{"subject":1}'), mediaTypes.ociManifest))).toBeUndefined();
  expect(read(sampleOf(new Uint8Array(9), mediaTypes.ociIndex))).toBeUndefined();
});

test('the tag of the referrers has at most 64 characters of the digest', () => {
  expect(referrersTag(`sha256:${'a'.repeat(64)}`)).toBe(`sha256-${'a'.repeat(64)}`);
  expect(referrersTag(`sha512:${'0123456789abcdef'.repeat(8)}`)).toBe(`sha512-${'0123456789abcdef'.repeat(4)}`);
});

test('artifact types are compared with their parameters, in any spelling', () => {
  const bundle = 'application/vnd.dev.sigstore.bundle+json;version=0.2';
  for (const same of [bundle, 'Application/vnd.dev.sigstore.bundle+JSON ; version=0.2']) {
    expect(isOfType(same, bundle)).toBe(true);
  }
  for (const other of [undefined, '', 'application/vnd.dev.sigstore.bundle+json', bundle.replace('0.2', '0.3')]) {
    expect(isOfType(other, bundle)).toBe(false);
  }
});
