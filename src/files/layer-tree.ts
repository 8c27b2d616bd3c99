import type { Digest } from '../oci/digest.ts';
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

/** Whether a layer has something of that name, and not only against it. */
export const isThere = ({ entry, children }: Node): boolean => entry !== undefined || children !== undefined;

export const createTree = (): Node => ({ children: new Map() });

/**
 * Adds an entry as unpacking it would: it takes the place of what has its path, but for directories, which keep what is
 * in them; and what is no directory makes room for a path through it. Whiteouts stand for themselves, in any order.
 * https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md#whiteouts
 */
export function addEntry(root: Node, entry: FileEntry): void {
  const names = entry.path.split('/');
  const name = names.pop() ?? '';
  if (names.some((one) => one.startsWith(reservedPrefix))) return;
  const parent = names.reduce((node, one) => directoryIn(node, one, entry.layer), root);
  parent.children ??= new Map();
  const { children } = parent;
  if (name === opaqueName) parent.opaque = true;
  else if (name.startsWith(reservedPrefix) || name === whiteoutPrefix) return;
  else if (name.startsWith(whiteoutPrefix)) hide(children, name.slice(whiteoutPrefix.length));
  else if (entry.path === '') root.entry = entry;
  else put(children, name, entry);
}

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
