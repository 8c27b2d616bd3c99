import { gzip } from 'pako';

/** A file of a layer: its content, or more about it. */
export type TestFile =
  | string
  | Uint8Array
  | {
      readonly content?: string | Uint8Array | undefined;
      /** In place of `content`: so many bytes that do not compress, always the same ones for one path. */
      readonly size?: number | undefined;
      /** In place of `content`: a symbolic link to this path. */
      readonly link?: string | undefined;
      /** Permissions. Default: 0o644, 0o755 for directories. */
      readonly mode?: number | undefined;
    };

/** Files by path, without `/` at the beginning, in the order of the archive. A path that ends with `/` is a directory. */
export type TestFiles = Readonly<Record<string, TestFile>>;

/** How a layer is compressed. */
export type TestCompression = 'gzip' | 'zstd' | 'none';

const block = 512;
const text = new TextEncoder();
export const bytesOf = (value: string | Uint8Array): Uint8Array =>
  typeof value === 'string' ? text.encode(value) : value;

/** Of any realm. */
export const isBytes = (value: unknown): value is Uint8Array => ArrayBuffer.isView(value);

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/**
 * A tar archive that depends on nothing but the files: no owner, no times.
 * https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html#tag_20_92_13_06
 */
export function archiveOf(files: TestFiles): Uint8Array {
  const entries = Object.entries(files).map(([path, file]) => entryOf(path, file));
  return concat([...entries.flat(), new Uint8Array(2 * block)]);
}

function entryOf(path: string, file: TestFile): readonly Uint8Array[] {
  const plain = typeof file === 'string' || isBytes(file) ? { content: file } : file;
  const { content = '', size, link, mode = path.endsWith('/') ? 0o755 : 0o644 } = plain;
  const data = size === undefined ? bytesOf(content) : noise(size, path);
  const type = path.endsWith('/') ? '5' : link === undefined ? '0' : '2';
  const records = Object.entries({ path, linkpath: link ?? '' }).filter(([, value]) => bytesOf(value).length > 100);
  const extended = concat(records.map(([key, value]) => record(key, value)));
  return [
    ...(records.length > 0 ? entry({ path: 'extended', type: 'x', mode: 0o644 }, extended) : []),
    ...entry({ path, type, mode, link }, data),
  ];
}

interface Header {
  readonly path: string;
  readonly type: string;
  readonly mode: number;
  readonly link?: string | undefined;
}

function entry({ path, type, mode, link = '' }: Header, data: Uint8Array): readonly Uint8Array[] {
  const header = new Uint8Array(block);
  const octal = (value: number, length: number): string => value.toString(8).padStart(length - 1, '0');
  const fields: readonly (readonly [offset: number, value: string | Uint8Array])[] = [
    [0, bytesOf(path).subarray(0, 100)],
    [100, octal(mode, 8)],
    [108, octal(0, 8)],
    [116, octal(0, 8)],
    [124, octal(data.length, 12)],
    [136, octal(0, 12)],
    [148, ' '.repeat(8)],
    [156, type],
    [157, bytesOf(link).subarray(0, 100)],
    [257, 'ustar\0'],
    [263, '00'],
  ];
  for (const [offset, value] of fields) header.set(bytesOf(value), offset);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.set(text.encode(`${octal(sum, 7)}\0 `), 148);
  return [header, data, new Uint8Array((block - (data.length % block)) % block)];
}

/** A record of an extended header, which begins with its own length. */
function record(key: string, value: string): Uint8Array {
  const rest = text.encode(` ${key}=${value}\n`);
  const first = rest.length + String(rest.length).length;
  return concat([text.encode(String(rest.length + String(first).length)), rest]);
}

/** Bytes that look random and depend on their number and `seed` only. https://www.jstatsoft.org/article/view/v008i14 */
function noise(size: number, seed: string): Uint8Array {
  const words = new Uint32Array(Math.ceil(size / 4));
  let state = text.encode(seed).reduce((sum, byte) => Math.imul(sum ^ byte, 16_777_619), 2_166_136_261) || 1;
  for (let index = 0; index < words.length; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return new Uint8Array(words.buffer, 0, size);
}

/** The same bytes on every machine and in every Node: its own zlib differs between processors, and Node 20 has no zstd. */
export function compress(bytes: Uint8Array, compression: TestCompression): Uint8Array {
  if (compression === 'none') return bytes;
  return compression === 'gzip' ? gzip(bytes) : zstdFrame(bytes);
}

const largestBlock = 131_072;

/** A frame of uncompressed blocks with the size of the content. https://www.rfc-editor.org/rfc/rfc8878#section-3.1 */
function zstdFrame(bytes: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  const header = new DataView(new ArrayBuffer(10));
  header.setUint32(0, 0xfd2fb528, true);
  // The size has four bytes; the window is a block.
  header.setUint8(4, 0x80);
  header.setUint8(5, 0x38);
  header.setUint32(6, bytes.length, true);
  parts.push(new Uint8Array(header.buffer));
  let at = 0;
  do {
    const piece = bytes.subarray(at, at + largestBlock);
    at += largestBlock;
    const size = piece.length * 8 + (at >= bytes.length ? 1 : 0);
    parts.push(Uint8Array.of(size & 0xff, (size >> 8) & 0xff, size >> 16), piece);
  } while (at < bytes.length);
  return concat(parts);
}
