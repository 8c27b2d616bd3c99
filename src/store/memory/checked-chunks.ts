import { cannot } from '../../errors.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { createHasher } from '../../oci/digest.ts';
import type { Chunks } from '../../source.ts';

/**
 * The chunks of content that is pushed; fails before its end with `TOO_LARGE`, `UNEXPECTED_END` or `DIGEST_MISMATCH` if they are not
 * the bytes of this descriptor. `checkSignal` fails once nobody wants them.
 */
export async function* checkedChunks(
  { digest, size }: Descriptor,
  body: Chunks,
  checkSignal: () => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  const attempted = `push "${digest}"`;
  const hasher = createHasher(digest);
  let read = 0;
  checkSignal();
  for await (const chunk of body) {
    checkSignal();
    read += chunk.length;
    if (read > size) throw cannot('TOO_LARGE', attempted, `more than its ${size} bytes`, { value: digest });
    hasher.update(chunk);
    yield chunk;
  }
  if (read < size) throw cannot('UNEXPECTED_END', attempted, `${read} of ${size} bytes`, { value: digest });
  const hashed = hasher.digest();
  if (hashed !== digest) throw cannot('DIGEST_MISMATCH', attempted, `its bytes are "${hashed}"`, { value: digest });
}
