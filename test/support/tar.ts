/** A header of an archive and the data after it; the defaults are those of most writers. */
export interface TarPart {
  readonly name?: string | Uint8Array;
  readonly data?: string | Uint8Array;
  /** Default: the length of the data. */
  readonly size?: number | string;
  readonly flag?: string;
  readonly link?: string;
  readonly mode?: string;
  readonly uid?: string | Uint8Array;
  readonly mtime?: string | Uint8Array;
  readonly magic?: string;
  readonly prefix?: string;
  /** Fields by offset, written last. */
  readonly fields?: Readonly<Record<number, string | Uint8Array>>;
  /** Bytes to change after the checksum was computed. */
  readonly damage?: number;
}

export const block = 512;

const padded = (bytes: Uint8Array): Buffer =>
  Buffer.concat([bytes, Buffer.alloc((block - (bytes.length % block)) % block)]);

const bytesOf = (value: string | Uint8Array): Uint8Array => (typeof value === 'string' ? Buffer.from(value) : value);

/** `0000644` and a NUL. */
export const octal = (value: number, length = 12): string => `${value.toString(8).padStart(length - 1, '0')}\0`;

/** One entry, header and content. */
export function part({ data = '', name = 'file', magic = 'ustar\x0000', ...rest }: TarPart): Buffer {
  const content = bytesOf(data);
  const header = Buffer.alloc(block);
  const fields: readonly (readonly [number, string | Uint8Array])[] = [
    [0, name],
    [100, rest.mode ?? octal(0o644, 8)],
    [108, rest.uid ?? octal(0, 8)],
    [116, octal(0, 8)],
    [124, typeof rest.size === 'string' ? rest.size : octal(rest.size ?? content.length)],
    [136, rest.mtime ?? octal(0)],
    [156, rest.flag ?? '0'],
    [157, rest.link ?? ''],
    [257, magic],
    [345, rest.prefix ?? ''],
    ...Object.entries(rest.fields ?? {}).map(([at, value]) => [Number(at), value] as const),
  ];
  for (const [at, value] of fields) header.set(bytesOf(value), at);
  withSum(header);
  if (rest.damage !== undefined) header[rest.damage] = (header[rest.damage] ?? 0) ^ 1;
  return Buffer.concat([header, padded(content)]);
}

/** Computes the checksum of the header that the bytes begin with. */
export function withSum(header: Buffer): void {
  header.fill(' ', 148, 156);
  const sum = header.subarray(0, block).reduce((total, byte) => total + byte, 0);
  header.set(Buffer.from(`${octal(sum, 7)} `), 148);
}

/** A record of an extended header, which begins with its own length. */
function record(key: string, value: string | Uint8Array): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), bytesOf(value), Buffer.from('\n')]);
  const first = rest.length + String(rest.length).length;
  const length = rest.length + String(first).length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

/** An extended header for the entry after it. */
export const pax = (records: Readonly<Record<string, string | Uint8Array>>, flag = 'x'): Buffer =>
  part({ name: 'pax', flag, data: Buffer.concat(Object.entries(records).map(([key, value]) => record(key, value))) });

export const end: Buffer = Buffer.alloc(2 * block);

/** A whole archive. */
export const archive = (...parts: readonly (Buffer | TarPart)[]): Buffer =>
  Buffer.concat([...parts.map((one) => (Buffer.isBuffer(one) ? one : part(one))), end]);

/** The bytes in pieces of these lengths, repeated in turn. */
export async function* pieces(bytes: Uint8Array, lengths: readonly number[]): AsyncGenerator<Uint8Array, void> {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const length = lengths[turn % lengths.length] ?? bytes.length;
    yield new Uint8Array(bytes.subarray(at, at + length));
    at += length;
  }
}
