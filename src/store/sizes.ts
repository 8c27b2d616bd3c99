import type { Blobs } from './blobs.ts';
import type { LayoutIndex } from './entries.ts';
import type { WrongContent } from './report.ts';
import type { Reached } from './walk.ts';

/** What was read of a layout. */
export interface Sized {
  readonly index: LayoutIndex;
  /** Path of `index.json`. */
  readonly path: string;
  readonly reached: readonly Reached[];
  /** Bytes of each content whose digest is right. */
  readonly sizes: ReadonlyMap<string, number>;
}

/** Documents, and `index.json`, that say another size of a content than it has: nobody can read it by their word. */
export function wrongSizes({ index, path, reached, sizes }: Sized, { pathOf }: Blobs): WrongContent[] {
  const wrong = new Map<string, WrongContent>();
  const compare = (said: { readonly digest: string; readonly size: number }, by: Omit<WrongContent, 'found'>): void => {
    const has = sizes.get(said.digest);
    if (has === undefined || has === said.size) return;
    const found = `"${said.digest}" has ${has} bytes where ${by.digest ?? 'index.json'} says ${said.size}`;
    wrong.set(`${by.path} ${found}`, { ...by, found });
  };
  for (const { descriptor } of index.entries) if (descriptor) compare(descriptor, { digest: undefined, path });
  for (const { descriptor, children, bytes } of reached) {
    const { digest } = descriptor;
    // What a document says whose own bytes are wrong is nobody's word; nor is what merely looks like a descriptor, in one of
    // a type that is not known.
    if (!bytes || !sizes.has(digest)) continue;
    for (const child of children) compare(child.descriptor, { digest, path: pathOf(digest) });
  }
  return [...wrong.values()];
}
