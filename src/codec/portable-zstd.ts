import { Decompress } from 'fzstd';
import type { Decoder } from './codec.ts';
import { createPause } from './pause.ts';
import { damaged } from './verdict.ts';
import { type ZstdEngine, zstdDecoder } from './zstd.ts';
import { largestBlock, type ZstdFrame } from './zstd-frames.ts';

/** zstd in JavaScript. fzstd unpacks a block at a time, and is shown nothing else; checksums are counted here. */
export const portableZstd: Decoder = zstdDecoder(() => {
  const pause = createPause();
  let frame: ZstdFrame | undefined;
  let hash: Hash | undefined;
  let decompress = new Decompress();
  let unpacked: Uint8Array[] = [];

  const push = (bytes: Uint8Array, last = false): Uint8Array[] => {
    unpacked = [];
    try {
      decompress.push(bytes, last);
    } catch (error) {
      throw damaged('zstd', error instanceof Error ? error.message : 'invalid data', error);
    }
    for (const chunk of unpacked) {
      const largest = Math.min(frame?.window ?? 0, largestBlock);
      if (chunk.length > largest) throw damaged('zstd', `block of ${chunk.length} bytes, more than ${largest}`);
      hash?.update(chunk);
    }
    return unpacked;
  };

  const engine: ZstdEngine = {
    cut: 'block',
    async begin(next, left) {
      frame = next;
      hash = frame.checksum ? await createHash() : undefined;
      decompress = new Decompress((chunk) => {
        if (chunk.length > 0) unpacked.push(chunk);
      });
      push(plainHeader(frame, left));
    },
    async *write(bytes) {
      await pause();
      yield* push(bytes);
    },
    *end(checksum) {
      yield* push(new Uint8Array(0), true);
      if (hash && Number(hash.digest() & 0xffffffffn) !== checksum) throw damaged('zstd', 'checksum mismatch');
    },
    close() {},
  };
  return engine;
});

interface Hash {
  update(bytes: Uint8Array): unknown;
  digest(): bigint;
}

/** XXH64, loaded when a frame with a checksum comes. */
async function createHash(): Promise<Hash> {
  const { default: load } = await import('xxhash-wasm');
  return (await load()).create64();
}

/**
 * The frame's header as fzstd shall see it: neither size nor checksum, and no more window than can be filled. fzstd
 * takes the whole window's memory at once, and moves all of it with every block.
 */
function plainHeader({ window, size = Number.POSITIVE_INFINITY }: ZstdFrame, left: number): Uint8Array {
  const wanted = Math.max(1024, Math.min(window, Math.max(Math.min(size, left), largestBlock)));
  const exponent = Math.floor(Math.log2(wanted));
  const eighths = Math.ceil((wanted / 2 ** exponent - 1) * 8);
  return Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, ((exponent - 10) << 3) + eighths);
}
