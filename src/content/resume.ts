import { abortError } from '../abort.ts';
import { cannot, type RegistryError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { ClosedRange } from '../oci/range.ts';
import { begin, complete, isMendable, open, tellProgress } from './course.ts';
import type { Reading } from './reading.ts';

/**
 * Reads a range to its end, whatever breaks on the way: asks the source again from where it stands. Exactly the bytes
 * of the range come out, or an error does that tells every break.
 */
export async function* resume(reading: Reading): AsyncGenerator<Uint8Array, void, undefined> {
  const { descriptor, range, signal, take } = reading;
  const course = begin(reading);
  // Of an empty content only its host can say that it is there; of an empty part there is nothing to ask for.
  let missing = range.start < range.end || descriptor.size === 0;
  reading.begin();
  try {
    while (missing) {
      const opened = course.offset;
      const { body, from } = await open(reading, course);
      try {
        for await (const chunk of body) {
          if (signal.aborted) throw abortError(signal.reason);
          if (course.offset + chunk.length > range.end) throw tooLarge(descriptor, range);
          course.offset += chunk.length;
          take(chunk, from);
          tellProgress(reading, course);
          yield chunk;
        }
        if (course.offset < range.end) throw unexpectedEnd(descriptor, course.offset);
        missing = false;
      } catch (thrown) {
        missing = isMendable(reading, course, thrown, course.offset - opened);
      } finally {
        await body.cancel().catch(() => {});
      }
    }
    tellProgress(reading, course, 0);
    complete(reading, course);
  } finally {
    reading.over();
  }
}

function tooLarge({ digest, size }: Descriptor, range: ClosedRange): RegistryError {
  const expected = range.end === size ? `${size} bytes` : `bytes ${range.start}-${range.end - 1}`;
  return cannot('TOO_LARGE', `read "${digest}"`, `the host sent more than its ${expected}`, { value: digest });
}

function unexpectedEnd({ digest, size }: Descriptor, offset: number): RegistryError {
  return cannot('UNEXPECTED_END', `read "${digest}"`, `it ended after ${offset} of ${size} bytes`, { value: digest });
}
