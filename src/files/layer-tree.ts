import { cannot, type RegistryError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import { quote } from '../text/quote.ts';
import type { FileEntry } from './entry.ts';

/**
 * A name in a layer. What is in it are `entry` and, for a directory, `children`; a directory that only paths below it
 * speak of has no entry of its own. A name that only lower layers lose has neither.
 */
export interface Node {
  entry?: FileEntry;
  children?: Map<string, Node>;
  /** Of a directory without an entry, the layer that speaks of it first. */
  layer?: Digest;
  /** Lower layers lose what they have of that name. */
  whiteout?: boolean;
  /** Lower layers lose what they have in this directory. */
  opaque?: boolean;
}

const whiteoutPrefix = '.wh.';
/** What AUFS keeps for itself; the first of them means something. */
const opaqueName = '.wh..wh..opq';
const reservedPrefix = '.wh..wh.';

/** Most names of a path, with those of the symbolic links in it; Linux takes 4,096 bytes. */
const deepest = 2048;
/** As Linux has it. */
export const mostLinks = 40;

/** Whether a layer has something of that name, and not only against it. */
export const isThere = ({ entry, children }: Node): boolean => entry !== undefined || children !== undefined;

export const createTree = (): Node => ({ children: new Map() });

/**
 * Adds an entry as unpacking it would: it takes the place of what has its path, but for directories, which keep what is
 * in them. A path goes through symbolic links that the layer had before; whatever else is no directory makes room for it.
 * Whiteouts stand for themselves, in any order. Gives the entry as it was added: with the path that it came to.
 * https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md#whiteouts
 */
export function addEntry(root: Node, told: FileEntry): FileEntry {
  const names = told.path.split('/');
  const name = names.pop() ?? '';
  if (names.some((one) => one.startsWith(reservedPrefix))) return told;
  const { parent, path } = parentOf(root, names, told);
  const entry = path === told.path ? told : { ...told, path };
  parent.children ??= new Map();
  const { children } = parent;
  if (name === opaqueName) parent.opaque = true;
  else if (name.startsWith(reservedPrefix) || name === whiteoutPrefix) return entry;
  else if (name.startsWith(whiteoutPrefix)) hide(children, name.slice(whiteoutPrefix.length));
  else if (told.path === '') root.entry = entry;
  else put(children, name, entry);
  return entry;
}

/** The directory at these names, made where there is none, and the path of the entry in it. */
function parentOf(root: Node, names: readonly string[], { path, layer }: FileEntry) {
  const nodes = [root];
  const reached: string[] = [];
  let pending = names;
  for (let at = 0, steps = 0, links = 0; at < pending.length; at++, steps++) {
    if (pending.length > deepest || steps > deepest) throw damaged(layer, path, `more than ${deepest} names`);
    const [name = '', parent = root] = [pending[at], nodes.at(-1)];
    const { entry } = parent.children?.get(name) ?? {};
    if (entry?.type === 'symlink') {
      links += 1;
      const { linkPath = '' } = entry;
      if (links > mostLinks) throw damaged(layer, path, `more than ${mostLinks} symbolic links`);
      if (linkPath.length > 2 * deepest) throw damaged(layer, path, `a symbolic link of ${linkPath.length} letters`);
      if (linkPath.startsWith('/')) nodes.length = 1;
      pending = [...linkPath.split('/'), ...pending.slice(at + 1)];
      at = -1;
    } else if (name === '..') nodes.length = Math.max(1, nodes.length - 1);
    else if (name !== '' && name !== '.') {
      nodes.push(directoryIn(parent, name, layer));
      reached.length = nodes.length - 2;
      reached.push(name);
    }
  }
  reached.length = nodes.length - 1;
  return { parent: nodes.at(-1) ?? root, path: [...reached, path.slice(path.lastIndexOf('/') + 1)].join('/') };
}

const damaged = (layer: Digest, path: string, found: string): RegistryError =>
  cannot('DECODE_ERROR', `read layer ${quote(layer)}`, `${quote(path)} is a path of ${found}`);

function put(children: Map<string, Node>, name: string, entry: FileEntry): void {
  const known = children.get(name);
  const isDirectory = entry.type === 'directory';
  const kept = isDirectory ? (known?.children ?? new Map<string, Node>()) : undefined;
  children.set(name, {
    entry,
    ...(kept && { children: kept }),
    ...(known?.whiteout && { whiteout: true }),
    ...(isDirectory && known?.opaque && { opaque: true }),
  });
}

function hide(children: Map<string, Node>, name: string): void {
  const known = children.get(name) ?? {};
  known.whiteout = true;
  children.set(name, known);
}

/** The directory of that name, made where there is none. */
function directoryIn(parent: Node, name: string, layer: Digest): Node {
  parent.children ??= new Map();
  const known = parent.children.get(name);
  if (known?.children) return known;
  const made: Node = { children: new Map(), layer, ...(known?.whiteout && { whiteout: true }) };
  parent.children.set(name, made);
  return made;
}

/** What two layers make together; neither is changed. Undefined where nothing is left. */
export function overlay(lower: Node | undefined, upper: Node): Node | undefined {
  if (!isThere(upper)) return upper.whiteout ? undefined : lower;
  if (!upper.children) return { ...(upper.entry && { entry: upper.entry }) };
  const below = upper.whiteout || !lower?.children ? undefined : lower;
  const children = new Map(upper.opaque ? [] : (below?.children ?? []));
  for (const [name, child] of upper.children) {
    const together = overlay(children.get(name), child);
    if (together) children.set(name, together);
    else children.delete(name);
  }
  const entry = upper.entry ?? below?.entry;
  const layer = below?.layer ?? upper.layer;
  return { ...(entry && { entry }), ...(layer && { layer }), children };
}

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
