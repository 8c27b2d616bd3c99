import { cannot, type RegistryError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import { quote } from '../text/quote.ts';
import type { BareEntry } from './entry.ts';
import { LayerEntries, type TakeMemory } from './layer-entries.ts';

/** A name in one or more layers. */
export interface TreeNode {
  /** The entries that have it; of a directory without an entry those of the first layer that implies it. */
  readonly from: LayerEntries;
  /** Its entry; undefined for a directory that only the paths below it imply. */
  readonly index: number | undefined;
  /** Of a directory. */
  readonly children?: Map<string, TreeNode>;
}

/** What a layer hides of those below it. */
export interface Hidden {
  /** All of this name. */
  whole?: boolean;
  /** All that is in this directory. */
  below?: boolean;
  children?: Map<string, Hidden>;
}

/** What unpacking a layer alone makes, and what it hides. */
export interface LayerTree {
  readonly entries: LayerEntries;
  readonly root: TreeNode;
  readonly hidden: Hidden;
}

/** Most names of a path, with those of the symbolic links in it; Linux allows 4,096 bytes. */
const mostNames = 2048;
/** The limit of Linux. */
export const mostLinks = 40;

export const nodeAt = (root: TreeNode | undefined, names: readonly string[]): TreeNode | undefined =>
  names.reduce<TreeNode | undefined>((node, name) => node?.children?.get(name), root);

const whiteoutPrefix = '.wh.';
/** What AUFS keeps for itself; of these names only the opaque whiteout has a meaning. */
const reservedPrefix = '.wh..wh.';
const opaqueName = '.wh..wh..opq';

/** Estimated bytes of a name in a tree, and of a directory in addition, without the letters of the name. */
const nodeBytes = 80;
const directoryBytes = 240;

/** A tree of a layer that entries are added to, in the order of the layer. */
export interface LayerTreeBuilder extends LayerTree {
  /**
   * Adds an entry as unpacking it would: it replaces what has its path, except that a directory keeps what is in it. A path
   * goes through symbolic links that the layer had before; anything else that is not a directory is replaced by one.
   * Whiteouts affect only lower layers, wherever they come in the layer, and create nothing. Returns the path at which the
   * entry was added. https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md#whiteouts
   */
  add(entry: BareEntry): string;
}

export function createLayerTree(layer: Digest, take: TakeMemory): LayerTreeBuilder {
  const entries = new LayerEntries(layer, take);
  const root: TreeNode = { from: entries, index: undefined, children: new Map() };
  const hidden: Hidden = {};
  const add = (entry: BareEntry): string => {
    const index = entries.add(entry);
    const names = entry.path.split('/');
    if (names.length > mostNames) throw badPath(layer, entry.path, `${names.length} names, more than ${mostNames}`);
    const name = names.pop() ?? '';
    if (entry.path === '' || names.some((one) => one.startsWith(reservedPrefix))) return entry.path;
    const parents = throughLinks(root, names, entry.path);
    const path = [...parents, name].join('/');
    if (name === opaqueName) hide(hidden, parents, take).below = true;
    else if (name.startsWith(reservedPrefix) || name === whiteoutPrefix) return path;
    else if (name.startsWith(whiteoutPrefix)) {
      hide(hidden, [...parents, name.slice(whiteoutPrefix.length)], take).whole = true;
    } else {
      if (entry.type === 'hardlink') link(root, index, entry);
      put(directoryAt(root, parents, take), name, { index, isDirectory: entry.type === 'directory' }, take);
    }
    return path;
  };
  return { entries, root, hidden, add };
}

/**
 * The names that a path has once the symbolic links of the layer in it are followed; none of its names is kept as a link,
 * and it does not lead out of the root.
 */
function throughLinks(root: TreeNode, names: readonly string[], path: string): readonly string[] {
  const nodes: (TreeNode | undefined)[] = [root];
  const reached: string[] = [];
  const { layer } = root.from;
  let pending = names;
  for (let at = 0, steps = 0, links = 0; at < pending.length; at++, steps++) {
    if (pending.length > mostNames || steps > mostNames) throw badPath(layer, path, `more than ${mostNames} names`);
    const name = pending[at] ?? '';
    const child = nodes.at(-1)?.children?.get(name);
    if (child?.index !== undefined && child.from.typeAt(child.index) === 'symlink') {
      links += 1;
      const linkPath = child.from.linkPathAt(child.index);
      if (links > mostLinks) throw badPath(layer, path, `more than ${mostLinks} symbolic links`);
      if (linkPath.length > 2 * mostNames) throw badPath(layer, path, `a symbolic link of ${linkPath.length} letters`);
      if (linkPath.startsWith('/')) reached.length = 0;
      nodes.length = reached.length + 1;
      pending = [...linkPath.split('/'), ...pending.slice(at + 1)];
      at = -1;
    } else if (name === '..') {
      reached.pop();
      nodes.length = reached.length + 1;
    } else if (name !== '' && name !== '.') {
      reached.push(name);
      nodes.push(child);
    }
  }
  return reached;
}

const badPath = (layer: Digest, path: string, found: string): RegistryError =>
  cannot('DECODE_ERROR', `read layer ${quote(layer)}`, `${quote(path)} is a path of ${found}`, { value: layer });

/** Notes what a hard link is another name of: what is at its target when it is made. */
function link(root: TreeNode, index: number, { path, linkPath = '' }: BareEntry): void {
  const names = linkPath.split('/');
  const name = names.pop() ?? '';
  const target = [...throughLinks(root, names, path), name];
  const node = nodeAt(root, target);
  if (node?.index !== undefined && !node.children) root.from.setLinked(index, node.index);
  else if (target.join('/') !== linkPath) root.from.setLinked(index, target.join('/'));
}

/** The directory at these names, created if necessary. */
function directoryAt(root: TreeNode, names: readonly string[], take: TakeMemory): TreeNode {
  let node = root;
  for (const name of names) {
    const known = node.children?.get(name);
    node = known?.children ? known : put(node, name, { index: undefined, isDirectory: true }, take);
  }
  return node;
}

function put(
  parent: TreeNode,
  name: string,
  { index, isDirectory }: { readonly index: number | undefined; readonly isDirectory: boolean },
  take: TakeMemory,
): TreeNode {
  const { from, children } = parent;
  const known = children?.get(name);
  if (!known) take(nodeBytes + 2 * name.length);
  if (isDirectory && !known?.children) take(directoryBytes);
  const node = isDirectory ? { from, index, children: known?.children ?? new Map() } : { from, index };
  children?.set(known ? name : ownText(name), node);
  return node;
}

function hide(hidden: Hidden, names: readonly string[], take: TakeMemory): Hidden {
  let node = hidden;
  for (const name of names) {
    node.children ??= new Map();
    let child = node.children.get(name);
    if (!child) {
      take(nodeBytes + directoryBytes + 2 * name.length);
      child = {};
      node.children.set(ownText(name), child);
    }
    node = child;
  }
  return node;
}

/** A copy of a text that may be a part of a longer one, which would be kept in memory with it. */
const ownText = (text: string): string => decoder.decode(encoder.encode(text));
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The merged tree of the layers below and a layer above them; neither is changed, and both are shared as far as they can. */
export function overlay(lower: TreeNode | undefined, { root, hidden }: LayerTree): TreeNode {
  return cover(lower && withoutHidden(lower, hidden), root);
}

function withoutHidden(node: TreeNode, { whole, below, children: parts }: Hidden): TreeNode | undefined {
  if (whole) return undefined;
  if (!node.children || !(below || parts)) return node;
  const children = new Map(below ? [] : node.children);
  for (const [name, part] of parts ?? []) {
    const child = children.get(name);
    const left = child && withoutHidden(child, part);
    if (left) children.set(name, left);
    else children.delete(name);
  }
  return { ...node, children };
}

function cover(lower: TreeNode | undefined, upper: TreeNode): TreeNode {
  if (!lower?.children || !upper.children) return upper;
  const children = new Map(lower.children);
  for (const [name, child] of upper.children) children.set(name, cover(children.get(name), child));
  const { from, index } = upper.index === undefined ? lower : upper;
  return { from, index, children };
}

/**
 * What the layers so far know of a path. `entry`: what is at the path or, `depth` names deep, in the way to it.
 * `directory`: the path is one. `unknown`: it depends on lower layers, unless `isHidden`: then it does not exist.
 */
export type LookupResult =
  | { readonly kind: 'entry'; readonly node: TreeNode; readonly depth: number }
  | { readonly kind: 'directory' }
  | { readonly kind: 'unknown'; readonly isHidden: boolean };

/** The lookup of one path, from the top layer down. */
export interface Lookup {
  /** The result of the next lower layer, together with those above it. */
  next(layer: Pick<LayerTree, 'root' | 'hidden'>): LookupResult;
}

/** Looks for a path layer by layer, so that those below the one that has or hides it need not be read. */
export function createLookup(names: readonly string[]): Lookup {
  /** How many of the first names are directories of an upper layer, which hides anything else that lower ones have there. */
  let directories = 0;
  /** How many of the first names upper layers do not hide. */
  let visible = names.length;
  return {
    next: ({ root, hidden }) => {
      let node = root;
      for (let depth = 1; depth <= visible; depth++) {
        const child = node.children?.get(names[depth - 1] ?? '');
        if (!child) break;
        if (!child.children) {
          return depth <= directories ? { kind: 'unknown', isHidden: true } : { kind: 'entry', node: child, depth };
        }
        directories = Math.max(directories, depth);
        node = child;
      }
      if (directories === names.length) return { kind: 'directory' };
      let part: Hidden | undefined = hidden;
      for (let depth = 0; part && depth <= names.length; depth++) {
        if (part.whole) visible = Math.min(visible, depth - 1);
        if (part.below) visible = Math.min(visible, depth);
        part = part.children?.get(names[depth] ?? '');
      }
      return { kind: 'unknown', isHidden: visible <= directories };
    },
  };
}
