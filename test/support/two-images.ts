import { mediaTypes } from '../../src/oci/manifest.ts';
import { documentOf } from '../contract/lists.ts';
import { type Sample, sampleOf, samples } from '../contract/source.ts';

export const blob = (text: string, type?: string): Sample => sampleOf(new TextEncoder().encode(text), type);

export const image = (...layers: Sample[]): Sample =>
  documentOf(mediaTypes.ociManifest, {
    config: samples.config.descriptor,
    layers: layers.map(({ descriptor }) => descriptor),
  });

export const index = (...manifests: Sample[]): Sample =>
  documentOf(mediaTypes.ociIndex, { manifests: manifests.map(({ descriptor }) => descriptor) });

export const named = (sample: Sample, tag: string): Sample => ({ ...sample, tag });

export const digests = (...all: Sample[]): string[] => all.map(({ descriptor }) => descriptor.digest).sort();

/** Two images that share a layer, and an index of both. */
export const [a, b, shared] = [blob('a'), blob('b'), blob('shared')] as const;
export const [first, second] = [image(a, shared), image(b, shared)] as const;
export const both = index(first, second);
