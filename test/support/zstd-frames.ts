import xxhash from 'xxhash-wasm';

/** A block as in RFC 8878, section 3.1.1.2; `size` may be wrong. */
export interface ZstdBlock {
  readonly kind: 'raw' | 'rle' | 'compressed' | 'reserved';
  readonly bytes: Uint8Array;
  readonly size?: number;
}

export interface ZstdFrameShape {
  readonly blocks: readonly ZstdBlock[];
  /** Content size in the header, in eight bytes, right or wrong. */
  readonly size?: number;
  /** No window descriptor: the window is the size. */
  readonly single?: boolean;
  /** The window descriptor byte; default 1 MiB. */
  readonly window?: number;
  readonly dictionary?: number;
  /** Bits added to the frame header descriptor. */
  readonly flags?: number;
  /** The bytes whose checksum is written. */
  readonly checksumOf?: Uint8Array;
}

const kinds = { raw: 0, rle: 1, compressed: 2, reserved: 3 };
const { h64Raw } = await xxhash();

export const raw = (text: string | Uint8Array): ZstdBlock => ({ kind: 'raw', bytes: Buffer.from(text) });
export const rle = (byte: number, size: number): ZstdBlock => ({ kind: 'rle', bytes: Uint8Array.of(byte), size });

/** A frame of blocks that need no compressor. */
export function zstdFrame(shape: ZstdFrameShape): Buffer {
  const { blocks, size, single, window = 0x50, dictionary, flags = 0, checksumOf } = shape;
  const descriptor =
    (size === undefined ? 0 : 0xc0) | (single ? 0x20 : 0) | (checksumOf ? 4 : 0) | (dictionary === undefined ? 0 : 3);
  return Buffer.concat([
    little(0xfd2fb528, 4),
    little(descriptor | flags, 1),
    ...(single ? [] : [little(window, 1)]),
    ...(dictionary === undefined ? [] : [little(dictionary, 4)]),
    ...(size === undefined ? [] : [little(size, 8)]),
    ...blocks.map((block, index) => zstdBlock(block, index === blocks.length - 1)),
    ...(checksumOf ? [little(Number(h64Raw(checksumOf) & 0xffffffffn), 4)] : []),
  ]);
}

export function skippable(bytes: Uint8Array, variant = 0): Buffer {
  return Buffer.concat([little(0x184d2a50 + variant, 4), little(bytes.length, 4), bytes]);
}

function zstdBlock({ kind, bytes, size = bytes.length }: ZstdBlock, last: boolean): Buffer {
  return Buffer.concat([little((size << 3) | (kinds[kind] << 1) | (last ? 1 : 0), 3), bytes]);
}

function little(value: number, length: number): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(BigInt(value));
  return buffer.subarray(0, length);
}
