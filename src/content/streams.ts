import { cannot } from '../errors.ts';
import { builtin } from '../runtime.ts';
import type { Reader } from './readings.ts';

/** A reading as a web stream: nothing is read ahead of its consumer. */
export function webStream({ chunks, stop }: Reader): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        const { value } = await chunks.next();
        if (value) controller.enqueue(value);
        else controller.close();
      },
      cancel: stop,
    },
    { highWaterMark: 0 },
  );
}

/** A reading as a Node stream; `UNSUPPORTED` where the runtime has none. */
export function nodeStream(open: () => Reader): import('node:stream').Readable {
  const streams = builtin('node:stream');
  if (!streams) throw cannot('UNSUPPORTED', 'make a Node stream', 'this runtime has none');
  const { chunks, stop } = open();
  return new streams.Readable({
    read(): void {
      chunks.next().then(
        ({ value }) => this.push(value ?? null),
        (error) => this.destroy(error),
      );
    },
    destroy(error, callback): void {
      stop(error ?? new Error('the stream was destroyed'));
      callback(error);
    },
  });
}
