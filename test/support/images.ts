import type { FileEntry } from '../../src/files/entry.ts';
import { createImageFiles, type ImageFiles } from '../../src/files/image-files.ts';
import { contentOf, type Layer, layerOf } from './layers.ts';
import { archive, type TarPart } from './tar.ts';

/** Of an archive. */
export type Line = string | TarPart;

/** `a/` a directory, `a=x` a file with `x`, `a->b` a symbolic link, `a=>b` a hard link. */
export function partOf(line: Line): TarPart {
  if (typeof line !== 'string') return line;
  const [, name = '', kind = '', rest = ''] = /^(.*?)(->|=>|=|$)(.*)$/s.exec(line) ?? [];
  if (kind === '->') return { name, flag: '2', link: rest };
  if (kind === '=>') return { name, flag: '1', link: rest };
  return name.endsWith('/') ? { name, flag: '5' } : { name, data: rest };
}

export const tarLayer = (...lines: readonly Line[]): Layer => layerOf(archive(...lines.map(partOf)));

/** The files of an image of these layers, and how often each was fetched. */
export async function imageOf(layers: readonly Layer[], entries = 1_000_000) {
  const contents = await Promise.all(layers.map(contentOf));
  const [{ descriptor } = { descriptor: layerOf(Buffer.alloc(0)).descriptor }] = layers;
  const files = createImageFiles({
    descriptor,
    layers: contents.map(({ content }) => content),
    limits: { entries, memory: 2 ** 27, small: 0 },
  });
  return { files, fetches: () => contents.map(({ ranges }) => ranges.length) };
}

export async function listed(files: ImageFiles, path?: string): Promise<FileEntry[]> {
  const entries: FileEntry[] = [];
  for await (const entry of files.list(path)) entries.push(entry);
  return entries;
}

/** Directories with a `/` at their end. */
export const pathsOf = async (files: ImageFiles, path?: string): Promise<string[]> =>
  (await listed(files, path)).map((entry) => (entry.type === 'directory' ? `${entry.path}/` : entry.path));

export const read = async (files: ImageFiles, path: string): Promise<string> => (await files.open(path)).text();

export const image = async (...layers: readonly (readonly Line[])[]) =>
  imageOf(layers.map((lines) => tarLayer(...lines)));
