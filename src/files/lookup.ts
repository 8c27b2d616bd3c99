import type { FileEntry } from './entry.ts';
import { isThere, type Node } from './layer-tree.ts';

/**
 * What one layer says of a path. `entry`: what is there, or, at `depth` names, what is in the way. `directory`: there is
 * one. `unknown`: lower layers decide; where `isEnd`, they have lost it.
 */
export type Finding =
  | { readonly kind: 'entry'; readonly entry: FileEntry; readonly depth: number }
  | { readonly kind: 'directory' }
  | { readonly kind: 'unknown'; readonly isEnd: boolean };

/** Layers from the top down, as far as they were asked. */
export interface Lookup {
  /** What the next lower layer says, together with those above it. */
  next(layer: Node): Finding;
}

/**
 * Looks for a path layer by layer, the upper one first: once one has it, or hides it from those below, there is no need
 * to know them.
 */
export function createLookup(names: readonly string[]): Lookup {
  /** So many of the first names are directories of an upper layer: what lower ones have there instead is hidden. */
  let directories = 0;
  return {
    next: (layer) => {
      let node: Node = layer;
      let isEnd = node.opaque ?? false;
      for (const [index, name] of names.entries()) {
        const child: Node | undefined = node.children?.get(name);
        if (!child) return { kind: 'unknown', isEnd };
        isEnd ||= child.whiteout ?? false;
        if (!isThere(child)) return { kind: 'unknown', isEnd };
        const depth = index + 1;
        if (!child.children && child.entry) {
          return depth <= directories ? { kind: 'unknown', isEnd: true } : { kind: 'entry', entry: child.entry, depth };
        }
        directories = Math.max(directories, depth);
        isEnd ||= child.opaque ?? false;
        node = child;
      }
      return { kind: 'directory' };
    },
  };
}
