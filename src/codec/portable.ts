import type { Codecs } from './codec.ts';
import { portableInflate } from './portable-inflate.ts';
import { portableZstd } from './portable-zstd.ts';

/** Decoders that run anywhere, in JavaScript. They give the same verdict on every input as the native ones, slower. */
export const portableCodecs: Codecs = { zstd: portableZstd, ...portableInflate };
