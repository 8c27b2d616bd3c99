import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { createLiars } from '../../src/content/attempts.ts';
import { Content } from '../../src/content/content.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import type { Digest } from '../../src/oci/digest.ts';
import type { Range } from '../../src/oci/range.ts';
import type { Source } from '../../src/source.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { block, end, part } from './tar.ts';
import { skippable, type ZstdBlock, zstdFrame } from './zstd-frames.ts';

const sha256 = (bytes: Uint8Array): Digest => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** A layer with its descriptor. */
export interface Layer {
  readonly bytes: Buffer;
  readonly descriptor: Descriptor;
}

export function layerOf(bytes: Buffer, mediaType = 'application/vnd.oci.image.layer.v1.tar', annotations = {}): Layer {
  return { bytes, descriptor: { mediaType, digest: sha256(bytes), size: bytes.length, annotations } };
}

/** Content of a source, and the ranges that were requested from it. */
export function contentOver(source: Source, descriptor: Descriptor, signal?: AbortSignal) {
  const ranges: (Range | undefined)[] = [];
  const counted: Source = {
    ...source,
    fetch: (target, options) => {
      ranges.push(options?.range);
      return source.fetch(target, options);
    },
  };
  const content = new Content({ source: counted, descriptor, emit: () => {}, liars: createLiars(), signals: [signal] });
  return { content, ranges };
}

/** A layer held in memory, as content. */
export async function contentOf({ bytes, descriptor }: Layer) {
  const store = memoryStore();
  async function* body() {
    yield new Uint8Array(bytes);
  }
  await store.push(descriptor, body());
  return contentOver(store, descriptor);
}

/** A file of a layer that is read lazily. */
export interface LazyFile {
  readonly path: string;
  readonly content: Buffer;
}

/** Deviations from a regular layer. */
export interface LazyShape {
  /** Bytes of a chunk. */
  readonly chunk?: number;
  /** Changes the table before it is written. */
  readonly table?: (entries: Record<string, unknown>[]) => void;
  /** Changes the JSON of the table. */
  readonly json?: (json: string) => string;
  /** Puts the first file into the unit of its header. */
  readonly joinsFirst?: boolean;
  /** The footer of the first stargz. */
  readonly legacy?: boolean;
  /** Bytes that the table assumes before the archive. */
  readonly before?: number;
}

type Packer = (pieces: readonly Buffer[]) => Buffer;

/** An archive in compressed units, so that each chunk of a file begins one. */
function lazyArchive(
  files: readonly LazyFile[],
  pack: Packer,
  { chunk = 4_194_304, before = 0, joinsFirst = false }: LazyShape,
) {
  const out: Buffer[] = [];
  let length = before;
  let unit: Buffer[] = [];
  const entries: Record<string, unknown>[] = [];
  const cut = (): number => {
    if (unit.length > 0) length += out[out.push(pack(unit)) - 1]?.length ?? 0;
    unit = [];
    return length;
  };
  for (const { path, content } of files) {
    unit.push(part({ name: path, size: content.length }));
    const first = { type: 'reg', name: path, mode: 0o644, modtime: '2020-01-02T03:04:05Z', size: content.length };
    if (content.length === 0) entries.push(first);
    for (let at = 0; at < content.length; at += chunk) {
      const piece = content.subarray(at, at + chunk);
      const isWhole = piece.length === content.length;
      entries.push({
        ...(at === 0 ? { ...first, digest: sha256(content) } : { type: 'chunk', name: path }),
        offset: joinsFirst && entries.length === 0 ? 0 : cut(),
        ...(!isWhole && { chunkOffset: at, chunkSize: piece.length }),
        chunkDigest: sha256(piece),
      });
      unit.push(piece);
    }
    unit.push(Buffer.alloc((block - (content.length % block)) % block));
  }
  return { entries, cut: () => ({ end: cut(), out: Buffer.concat(out) }), unit: (piece: Buffer) => unit.push(piece) };
}

const gzipped: Packer = (pieces) => gzipSync(Buffer.concat(pieces));

/** https://github.com/containerd/stargz-snapshotter/blob/main/docs/estargz.md */
export function stargz(files: readonly LazyFile[], shape: LazyShape = {}): Layer {
  const { json: change = (json: string) => json } = shape;
  const { entries, cut } = lazyArchive(files, gzipped, shape);
  shape.table?.(entries);
  const { end: start, out } = cut();
  const json = Buffer.from(change(JSON.stringify({ version: 1, entries })));
  const table = gzipped([part({ name: 'stargz.index.json', data: json }), end]);
  const bytes = Buffer.concat([out, table, stargzFooter(start, shape.legacy ?? false)]);
  return layerOf(bytes, 'application/vnd.oci.image.layer.v1.tar+gzip', {
    'containerd.io/snapshot/stargz/toc.digest': sha256(json),
  });
}

function stargzFooter(start: number, legacy: boolean): Buffer {
  const name = Buffer.from(`${start.toString(16).padStart(16, '0')}STARGZ`);
  const extra = legacy ? name : Buffer.concat([Buffer.from([0x53, 0x47, 22, 0]), name]);
  const header = Buffer.from([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, extra.length, 0]);
  return Buffer.concat([header, extra, Buffer.from([1, 0, 0, 255, 255]), Buffer.alloc(8)]);
}

const zstdPacked: Packer = (pieces) => {
  const bytes = Buffer.concat(pieces);
  const blocks: ZstdBlock[] = [];
  for (let at = 0; at < bytes.length; at += 100_000)
    blocks.push({ kind: 'raw', bytes: bytes.subarray(at, at + 100_000) });
  return zstdFrame({ blocks });
};

/** https://github.com/containers/storage/blob/main/docs/containers-storage-zstd-chunked.md */
export function zstdChunked(files: readonly LazyFile[], shape: LazyShape = {}): Layer {
  const { json: change = (json: string) => json } = shape;
  const { entries, cut, unit } = lazyArchive(files, zstdPacked, shape);
  shape.table?.(entries);
  unit(end);
  const { end: start, out } = cut();
  const json = Buffer.from(change(JSON.stringify({ version: 1, entries })));
  const table = zstdPacked([json]);
  const bytes = Buffer.concat([out, skippable(table), skippable(Buffer.alloc(64))]);
  const prefix = 'io.github.containers.zstd-chunked';
  return layerOf(bytes, 'application/vnd.oci.image.layer.v1.tar+zstd', {
    [`${prefix}.manifest-position`]: `${start + 8}:${table.length}:${json.length}:1`,
    [`${prefix}.manifest-checksum`]: sha256(table),
  });
}
