import type { FileEntry } from './entry.ts';
import { isThere, type Node } from './layer-tree.ts';

/** What is at names, and all below it: directories before what is in them, names in the order of their code units. */
export function* listTree(root: Node, names: readonly string[]): Generator<FileEntry, void, undefined> {
  const node = names.reduce<Node | undefined>((parent, name) => parent?.children?.get(name), root);
  if (node) yield* below(node, names.join('/'));
}

function* below(node: Node, path: string): Generator<FileEntry, void, undefined> {
  // The root is what is listed, not listed itself.
  if (path !== '' && isThere(node)) yield node.entry ?? impliedDirectory(node, path);
  const children = [...(node.children ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [name, child] of children) yield* below(child, path === '' ? name : `${path}/${name}`);
}

/** A directory that no layer describes: unpacking makes it for what is in it. */
function impliedDirectory({ layer }: Node, path: string): FileEntry {
  if (!layer) throw new Error('a directory without a layer');
  return { path, type: 'directory', size: 0, mode: 0o755, uid: 0, gid: 0, modified: new Date(0), layer };
}
