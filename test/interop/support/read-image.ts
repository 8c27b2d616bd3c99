import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileEntry } from 'ocifetch';
import { run as ocifetch } from '../../cli/support.ts';
import { filesOf, type LayoutTools, linesOf } from './layout-tools.ts';
import { run } from './process.ts';

/** The files of an image: all paths, and the digests of the files' bytes. */
export interface ReadImage {
  readonly paths: readonly string[];
  readonly files: Readonly<Record<string, string>>;
}

async function printed(words: readonly string[]): Promise<string[]> {
  const { code, out, err } = await ocifetch(words);
  if (code !== 0 || err.length > 0) throw new Error(`Cannot run "${words.join(' ')}": ${code}: ${err.join(' ')}`);
  return out;
}

/** What `ls` prints, and what `cat` writes into the folder. */
export async function readImage(reference: string, folder: string): Promise<ReadImage> {
  const platform = ['--platform', 'linux/amd64'];
  const out = await printed(['ls', '-R', '--json', ...platform, reference]);
  const entries = out.map((line): FileEntry => JSON.parse(line));
  for (const { path, type } of entries) {
    if (type !== 'file' && type !== 'hardlink') continue;
    await mkdir(join(folder, path, '..'), { recursive: true });
    await printed(['cat', '--quiet', ...platform, '-o', join(folder, path), reference, path]);
  }
  return { paths: entries.map(({ path }) => path).sort(), files: await filesOf(folder) };
}

/** The same as crane exports it into the folder. */
export async function exportImage(tools: LayoutTools, reference: string, folder: string): Promise<ReadImage> {
  await mkdir(folder);
  const archive = `${folder}.tar`;
  await tools.crane('export', '--platform', 'linux/amd64', reference, archive);
  await run('tar', ['-C', folder, '-xf', archive]);
  const listed = linesOf(await run('tar', ['--quoting-style=literal', '-tf', archive]));
  const cleaned = listed.map((line) => line.replace(/^\.\//, '').replace(/\/$/, ''));
  return { paths: cleaned.filter((line) => line !== '.').sort(), files: await filesOf(folder) };
}
