import { load } from '../load.ts';
import type { Codecs, Decoder } from './codec.ts';

/** Encodings that `loadCodecs` decodes, best first. Known without loading a decoder. */
export const standardEncodings = ['zstd', 'gzip', 'deflate'] as const;

/**
 * Decoders for `standardEncodings`: those of node:zlib, and portable ones for what this runtime lacks (zstd before Node
 * 22.15, everything without node:zlib). Nothing is loaded before this is called: call it when an encoded body arrives.
 */
export async function loadCodecs(preference: 'native' | 'portable' = 'native'): Promise<Codecs> {
  const native = preference === 'native' ? await loadNative() : undefined;
  if (!native) return (await loadPortable()).portableCodecs;
  const zstd: Decoder = native.zstd ?? (await loadPortable()).portableZstd;
  return { zstd, ...native };
}

const loadPortable = () => load(['pako', 'fzstd'], () => import('./portable.ts'));

async function loadNative(): Promise<Codecs | undefined> {
  try {
    return (await import('./native.ts')).nativeCodecs;
  } catch {
    return undefined; // a runtime without node:zlib
  }
}
