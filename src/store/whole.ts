import type { Blobs } from './blobs.ts';
import type { IndexFile } from './index-file.ts';
import { noIndex, noLayout, notBegun } from './index-text.ts';
import type { Holding } from './others.ts';
import { storeError } from './store-error.ts';

/** The parts of a layout that are looked at. */
export interface Layout {
  readonly holding: Holding;
  readonly blobs: Blobs;
  readonly index: IndexFile;
}

/** Refuses what is no layout, or has lost its index: nothing tells then what is in it, or garbage. Gives the directory. */
export async function checkWhole({ holding, blobs, index }: Layout, attempted: string): Promise<string> {
  const directory = holding.join(holding.folder, '..');
  await index.read();
  const state = await index.state();
  if (state === 'none') throw storeError(attempted, directory, noLayout);
  if (state === 'whole') return directory;
  const { digests } = await blobs.list();
  throw storeError(attempted, directory, digests.length > 0 ? noIndex : notBegun);
}
