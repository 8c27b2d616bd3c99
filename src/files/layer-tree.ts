import { cannot, type RegistryError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import { quote } from '../text/quote.ts';
import type { FileEntry } from './entry.ts';

/**
 * A name in a layer. It has an `entry` and, for a directory, `children`; a directory that only the paths below it imply
 * has no entry of its own. A name that the layer only hides in lower layers has neither.
 */
export interface TreeNode {
  entry?: FileEntry;
  children?: Map<string, TreeNode>;
  /** Of a directory without an entry, the first layer that implies it. */
  layer?: Digest;
  /** Hides what lower layers have of that name. */
  whiteout?: boolean;
  /** Hides what lower layers have in this directory. */
  opaque?: boolean;
}

/** Most names of a path, with those of the symbolic links in it; Linux allows 4,096 bytes. */
export const mostNames = 2048;
/** The limit of Linux. */
export const mostLinks = 40;

export const createTree = (): TreeNode => ({ children: new Map() });

/** Whether a layer has something of that name, rather than only hiding it. */
export const isPresent = ({ entry, children }: TreeNode): boolean => entry !== undefined || children !== undefined;

export const nodeAt = (root: TreeNode, names: readonly string[]): TreeNode | undefined =>
  names.reduce<TreeNode | undefined>((node, name) => node?.children?.get(name), root);

const whiteoutPrefix = '.wh.';
/** What AUFS keeps for itself; of these names only the opaque whiteout has a meaning. */
const reservedPrefix = '.wh..wh.';
const opaqueName = '.wh..wh..opq';

/**
 * Adds an entry as unpacking it would: it replaces what has its path, except that a directory keeps what is in it. A path
 * goes through symbolic links that the layer had before; anything else that is not a directory is replaced by one.
 * Whiteouts only affect lower layers, wherever they come in the layer. Returns the entry with the path at which it was
 * added. https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md#whiteouts
 */
export function addEntry(root: TreeNode, original: FileEntry): FileEntry {
  const names = original.path.split('/');
  const name = names.pop() ?? '';
  if (names.some((one) => one.startsWith(reservedPrefix))) return original;
  const { parent, path } = parentOf(root, names, original);
  const entry = path === original.path ? original : { ...original, path };
  parent.children ??= new Map();
  const { children } = parent;
  if (name === opaqueName) parent.opaque = true;
  else if (name.startsWith(reservedPrefix) || name === whiteoutPrefix) return entry;
  else if (name.startsWith(whiteoutPrefix)) hide(children, name.slice(whiteoutPrefix.length));
  else if (original.path === '') root.entry = entry;
  else put(children, name, entry);
  return entry;
}

/** The directory at these names, created if necessary, and the path of the entry in it. */
function parentOf(root: TreeNode, names: readonly string[], { path, layer }: FileEntry) {
  const nodes = [root];
  const reached: string[] = [];
  let pending = names;
  for (let at = 0, steps = 0, links = 0; at < pending.length; at++, steps++) {
    if (pending.length > mostNames || steps > mostNames) throw badPath(layer, path, `more than ${mostNames} names`);
    const [name = '', parent = root] = [pending[at], nodes.at(-1)];
    const { entry } = parent.children?.get(name) ?? {};
    if (entry?.type === 'symlink') {
      links += 1;
      const { linkPath = '' } = entry;
      if (links > mostLinks) throw badPath(layer, path, `more than ${mostLinks} symbolic links`);
      if (linkPath.length > 2 * mostNames) throw badPath(layer, path, `a symbolic link of ${linkPath.length} letters`);
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

const badPath = (layer: Digest, path: string, found: string): RegistryError =>
  cannot('DECODE_ERROR', `read layer ${quote(layer)}`, `${quote(path)} is a path of ${found}`, { value: layer });

/** The directory of that name, created if necessary. */
function directoryIn(parent: TreeNode, name: string, layer: Digest): TreeNode {
  parent.children ??= new Map();
  const known = parent.children.get(name);
  if (known?.children) return known;
  const created: TreeNode = { children: new Map(), layer, ...(known?.whiteout && { whiteout: true }) };
  parent.children.set(name, created);
  return created;
}

function put(children: Map<string, TreeNode>, name: string, entry: FileEntry): void {
  const known = children.get(name);
  const isDirectory = entry.type === 'directory';
  children.set(name, {
    entry,
    ...(isDirectory && { children: known?.children ?? new Map() }),
    ...(known?.whiteout && { whiteout: true }),
    ...(isDirectory && known?.opaque && { opaque: true }),
  });
}

function hide(children: Map<string, TreeNode>, name: string): void {
  const known = children.get(name) ?? {};
  known.whiteout = true;
  children.set(name, known);
}

/** The merged tree of two layers; neither is changed. Undefined if nothing is left. */
export function overlay(lower: TreeNode | undefined, upper: TreeNode): TreeNode | undefined {
  if (!isPresent(upper)) return upper.whiteout ? undefined : lower;
  if (!upper.children) return { ...(upper.entry && { entry: upper.entry }) };
  const below = upper.whiteout || !lower?.children ? undefined : lower;
  const children = new Map(upper.opaque ? [] : (below?.children ?? []));
  for (const [name, child] of upper.children) {
    const merged = overlay(children.get(name), child);
    if (merged) children.set(name, merged);
    else children.delete(name);
  }
  const entry = upper.entry ?? below?.entry;
  const layer = below?.layer ?? upper.layer;
  return { ...(entry && { entry }), ...(layer && { layer }), children };
}

/**
 * What the layers so far know of a path. `entry`: what is at the path or, `depth` names deep, in the way to it.
 * `directory`: the path is one. `unknown`: it depends on lower layers, unless `isHidden`: then it does not exist.
 */
export type LookupResult =
  | { readonly kind: 'entry'; readonly entry: FileEntry; readonly depth: number }
  | { readonly kind: 'directory' }
  | { readonly kind: 'unknown'; readonly isHidden: boolean };

/** The lookup of one path, from the top layer down. */
export interface Lookup {
  /** The result of the next lower layer, together with those above it. */
  next(layer: TreeNode): LookupResult;
}

/** Looks for a path layer by layer, so that those below the one that has or hides it need not be read. */
export function createLookup(names: readonly string[]): Lookup {
  /** How many of the first names are directories of an upper layer, which hides anything else that lower ones have there. */
  let directories = 0;
  return {
    next: (layer) => {
      let node: TreeNode = layer;
      let isHidden = node.opaque ?? false;
      for (const [index, name] of names.entries()) {
        const child: TreeNode | undefined = node.children?.get(name);
        if (!child) return { kind: 'unknown', isHidden };
        isHidden ||= child.whiteout ?? false;
        if (!isPresent(child)) return { kind: 'unknown', isHidden };
        const depth = index + 1;
        if (!child.children && child.entry) {
          const { entry } = child;
          return depth <= directories ? { kind: 'unknown', isHidden: true } : { kind: 'entry', entry, depth };
        }
        directories = Math.max(directories, depth);
        isHidden ||= child.opaque ?? false;
        node = child;
      }
      return { kind: 'directory' };
    },
  };
}
