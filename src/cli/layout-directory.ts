import { access, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { RegistryError } from '../index.ts';

/** Refuses what is no layout at all: of a mistyped directory nothing must be said to be right. */
export async function mustBeLayout(directory: string): Promise<void> {
  const refuse = (found: string): RegistryError =>
    new RegistryError('STORE_ERROR', `Cannot look into layout "${directory}": ${found}`);
  const found = await stat(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw refuse('there is no such directory');
    // What else is wrong with it the layout tells in its own words.
    return undefined;
  });
  if (!found) return;
  if (!found.isDirectory()) throw refuse('it is no directory');
  const names = ['oci-layout', 'index.json', 'blobs'];
  const isThere = (name: string): Promise<boolean> =>
    access(join(directory, name)).then(
      () => true,
      ({ code }: NodeJS.ErrnoException) => code !== 'ENOENT',
    );
  const parts = await Promise.all(names.map(isThere));
  if (!parts.includes(true)) throw refuse('it has no index.json, so it is no OCI image layout');
}
