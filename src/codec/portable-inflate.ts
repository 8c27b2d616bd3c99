import { ZStream, zlibInflate, zlibInflateInit2, zlibInflateReset } from 'pako';
import { type InflateFormat, type Inflater, inflateDecoders } from './inflate.ts';
import { createPause } from './pause.ts';
import { damaged, truncated, withoutDictionary } from './verdict.ts';

/** zlib's own numbers for its formats and answers (zlib.h). */
const windowBits: Readonly<Record<InflateFormat, number>> = { gzip: 31, zlib: 15, raw: -15 };
const status = { ok: 0, streamEnd: 1, needDictionary: 2, bufferError: -5 };

/** Bytes unpacked in one step: a bomb is handed on a step at a time. */
const step = 65_536;

/** gzip and deflate in JavaScript. */
export const portableInflate = inflateDecoders((format, coding) => {
  const stream = new ZStream();
  const pause = createPause();
  const failed = (code: number): Error =>
    damaged(coding, code === status.needDictionary ? withoutDictionary : stream.msg || `zlib error ${code}`);
  const opened = zlibInflateInit2(stream, windowBits[format]);
  if (opened !== status.ok) throw failed(opened);
  let output = new Uint8Array(step);
  let ended = false;

  async function* write(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
    stream.input = bytes;
    stream.next_in = 0;
    stream.avail_in = bytes.length;
    while (stream.avail_in > 0) {
      if (ended && (format !== 'gzip' || bytes[stream.next_in] === 0)) return;
      if (ended) zlibInflateReset(stream);
      yield* inflate();
    }
  }

  /** Until the member ends or the input is used up. */
  async function* inflate(): AsyncGenerator<Uint8Array, void> {
    for (let full = true; full; ) {
      await pause();
      stream.output = output;
      stream.next_out = 0;
      stream.avail_out = step;
      const code = zlibInflate(stream, 0);
      if (code !== status.ok && code !== status.streamEnd && code !== status.bufferError) throw failed(code);
      full = stream.avail_out === 0;
      ended = code === status.streamEnd;
      if (full) output = new Uint8Array(step);
      if (stream.next_out > 0) yield full ? stream.output : stream.output.slice(0, stream.next_out);
      if (ended) return;
    }
  }

  const inflater: Inflater = {
    write,
    end() {
      if (!ended) throw damaged(coding, truncated);
      return [];
    },
    get rest() {
      return ended ? stream.avail_in : 0;
    },
    close() {},
  };
  return inflater;
});
