import type { Decoder } from './codec.ts';
import { createAllowance, damaged } from './verdict.ts';
import { type ZstdCut, type ZstdFrame, zstdParts } from './zstd-frames.ts';

/** What unpacks the blocks of zstd frames, one frame after the other. Chunks it hands on are the receiver's. */
export interface ZstdEngine {
  readonly cut: ZstdCut;
  /** `left`: the most bytes that are still wanted. */
  begin(frame: ZstdFrame, left: number): void | Promise<void>;
  write(bytes: Uint8Array): Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  /** Hands on what is left of the frame, and fails where `checksum` is not that of the frame's content. */
  end(checksum: number | undefined): Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  close(): void;
}

/** A zstd decoder out of an engine: the same verdict on every input, whatever the engine lets pass. */
export function zstdDecoder(open: (limit?: number) => ZstdEngine): Decoder {
  return async function* zstd(body, { limit } = {}) {
    const allowance = createAllowance('zstd', limit);
    const engine = open(limit);
    let size: number | undefined;
    let count = 0;
    try {
      for await (const part of zstdParts(body, engine.cut)) {
        if (part.type === 'frame') {
          size = part.size;
          count = 0;
          allowance.expect(size ?? 0);
          await engine.begin(part, allowance.left);
          continue;
        }
        for await (const chunk of part.type === 'bytes' ? engine.write(part.bytes) : engine.end(part.checksum)) {
          count += chunk.length;
          allowance.take(chunk.length);
          if (size !== undefined && count > size) throw damaged('zstd', `frame of more than its ${size} bytes`);
          yield chunk;
        }
        if (part.type === 'end' && size !== undefined && count < size) {
          throw damaged('zstd', `frame of ${count} bytes instead of ${size}`);
        }
      }
    } finally {
      engine.close();
    }
  };
}
