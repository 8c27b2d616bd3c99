import type { Content } from '../content/content.ts';
import { cannot } from '../errors.ts';
import { quote } from '../text/quote.ts';
import type { FileEntry } from './entry.ts';
import { brokenHardLink } from './layer.ts';
import type { LayerEntries } from './layer-entries.ts';
import { createLookup, mostLinks, nodeAt, type TreeNode } from './layer-tree.ts';
import type { EntryPlace, Layers, LayerView } from './layers.ts';
import { createSoughtPaths, type LocateContext, type Located, type ReadContext } from './locate.ts';

/** An entry in its layer; with `located` if the layer was read up to it. */
export interface EntryInLayer {
  readonly layer: Content;
  readonly place: EntryPlace;
  readonly located?: Located | undefined;
}

/** What was found, with what is known of its layer. */
interface FoundEntry extends EntryInLayer {
  readonly from: LayerEntries;
}

/**
 * What is at a path, or, `depth` names deep, in the way to it. `found` is what the caller's lookup adds, `link` the
 * symbolic link that was followed last.
 */
export type PathTarget<Found> =
  | { readonly kind: 'entry'; readonly entry: FileEntry; readonly depth: number; readonly found: Found }
  | { readonly kind: 'directory'; readonly names: readonly string[] }
  | { readonly kind: 'nothing'; readonly link?: FileEntry | undefined };

/**
 * What a path leads to in all layers together. If a duplicate shows that a wrong entry was used on the way, the path is
 * looked for again: then the layer with the duplicate was read to its end.
 */
export async function findPath(layers: Layers, path: string, context: ReadContext): Promise<PathTarget<EntryInLayer>> {
  const paused: PausedLayer = {};
  try {
    for (;;) {
      const sought = createSoughtPaths();
      const search = { ...context, sought, paused };
      const finding = resolvePath(path, (names) => findInLayers(layers, names, search));
      const target = await finding.catch((error: unknown) => {
        if (!sought.hasDuplicate) throw error;
      });
      if (target && !sought.hasDuplicate) return await withContent(layers, target, search);
      if (target?.kind === 'entry') await target.found.located?.release();
      await release(paused);
    }
  } finally {
    await release(paused);
  }
}

/** Reads up to a file again that was passed, or is known from before. A later duplicate of a path on the way is noticed. */
async function withContent(
  layers: Layers,
  target: PathTarget<FoundEntry>,
  context: LocateContext,
): Promise<PathTarget<EntryInLayer>> {
  if (target.kind !== 'entry' || target.entry.type !== 'file' || target.found.located) return target;
  const { layer, place } = target.found;
  return { ...target, found: { ...target.found, located: await layers.locate(layer, place, context) } };
}

/** A layer that was read up to a symbolic link: the link's target often follows it. */
interface PausedLayer {
  current?: { readonly layer: Content; readonly view: LayerView } | undefined;
}

async function release(paused: PausedLayer): Promise<void> {
  const { current } = paused;
  paused.current = undefined;
  await current?.view.located?.release();
}

interface SearchContext extends LocateContext {
  readonly paused: PausedLayer;
}

/** What is at a path without symbolic links in it; a hard link is what it links to, with its own path. */
async function findInLayers(
  layers: Layers,
  names: readonly string[],
  context: SearchContext,
): Promise<PathTarget<FoundEntry>> {
  const target = await findUnlinked(layers, names, context);
  if (target.kind !== 'entry') return target;
  let { entry, found } = target;
  for (let links = 0; entry.type === 'hardlink'; links++) {
    await found.located?.release();
    const linked = links < mostLinks ? await findLinked(layers, found, context) : undefined;
    if (!linked && target.depth < names.length) return { kind: 'nothing' };
    if (!linked) throw brokenHardLink(found.layer, entry);
    found = linked;
    entry = found.from.at(found.place.index, found.place.path);
  }
  return { ...target, entry: { ...entry, path: target.entry.path }, found };
}

/**
 * The entry that a hard link is another name of: what was at its target in the same layer when the link was made, since
 * most runtimes unpack each layer for itself. Some unpack a layer into those below: then it can be in any of them, even if
 * the layer hides it. At last, it may come later in the same layer.
 */
async function findLinked(
  layers: Layers,
  { layer, place, from }: FoundEntry,
  context: SearchContext,
): Promise<FoundEntry | undefined> {
  const linked = from.linkedAt(place.index);
  if (typeof linked === 'number') return { layer, from, place: { index: linked, path: from.linkPathAt(place.index) } };
  // To its end, since a later entry may replace the link. No path has a NUL.
  if (context.verify) await (await layers.viewUpTo(layer, '\0', context)).located?.release();
  const below = layers.contents.indexOf(layer);
  for (const count of [below, below + 1]) {
    const look = (names: readonly string[]) => findUnlinked(layers, names, context, count);
    const target = await resolvePath(linked, look, { keepsLast: true });
    if (target.kind === 'entry') return target.found;
  }
  return undefined;
}

/** Looks for a path in the lowest `count` layers, from the upper one down, and reads no more of each than necessary. */
async function findUnlinked(
  layers: Layers,
  names: readonly string[],
  { paused, ...context }: SearchContext,
  count: number = layers.contents.length,
): Promise<PathTarget<FoundEntry>> {
  const lookup = createLookup(names);
  const path = names.join('/');
  for (const layer of layers.contents.slice(0, count).reverse()) {
    const view = (await resumePaused(paused, layer, names)) ?? (await layers.viewUpTo(layer, path, context));
    const result = lookup.next(view.tree);
    const found = result.kind === 'entry' ? entryOf(result.node, names.slice(0, result.depth)) : undefined;
    const isLink = found?.entry.type === 'symlink';
    const isFile = found && result.kind === 'entry' && result.depth === names.length && !isLink;
    if (view.located && isLink) {
      await release(paused);
      paused.current = { layer, view };
    } else if (!isFile) await view.located?.release();
    if (result.kind === 'unknown' && !result.isHidden) continue;
    if (result.kind === 'directory') return { kind: 'directory', names };
    if (result.kind === 'unknown' || !found) return { kind: 'nothing' };
    const located = isFile ? view.located : undefined;
    const { entry, from, place } = found;
    return { kind: 'entry', depth: result.depth, entry, found: { layer, from, place, located } };
  }
  return { kind: 'nothing' };
}

/** The entry at a node that is not a directory. */
function entryOf({ from, index = 0 }: TreeNode, names: readonly string[]) {
  const path = names.join('/');
  return { entry: from.at(index, path), from, place: { index, path } };
}

/** Reads the paused layer on up to the path; undefined if another layer is paused, or if the path lies before. */
async function resumePaused(
  paused: PausedLayer,
  layer: Content,
  names: readonly string[],
): Promise<LayerView | undefined> {
  const { current } = paused;
  if (current?.layer !== layer) return undefined;
  const { tree, viewNext } = current.view;
  const known = nodeAt(tree.root, names);
  // It is known to be a directory, and nothing else is needed of one.
  if (known?.children) return { tree };
  if (known || !viewNext) {
    await release(paused);
    return undefined;
  }
  paused.current = undefined;
  return viewNext(names.join('/'));
}

/** What is at a path without symbolic links in it, in the merged tree of all layers. */
export function findInTree(root: TreeNode, names: readonly string[]): PathTarget<undefined> {
  const result = createLookup(names).next({ root, hidden: {} });
  if (result.kind === 'entry') {
    const { entry } = entryOf(result.node, names.slice(0, result.depth));
    return { kind: 'entry', entry, depth: result.depth, found: undefined };
  }
  return result.kind === 'directory' ? { kind: 'directory', names } : { kind: 'nothing' };
}

/**
 * Follows a path and the symbolic links in it, also its last name, but never out of the root. `look` finds the target of
 * names of which all but the last are directories. With `keepsLast` a link at the path itself is the target.
 * `UNSUPPORTED` for more than forty links.
 */
export async function resolvePath<Found>(
  path: string,
  look: (names: readonly string[]) => Promise<PathTarget<Found>>,
  { keepsLast = false }: { readonly keepsLast?: boolean } = {},
): Promise<PathTarget<Found>> {
  let reached: readonly string[] = [];
  let pending = namesIn(path);
  let link: FileEntry | undefined;
  for (let links = 0; ; ) {
    const up = pending.indexOf('..');
    const rest = up === -1 ? [] : pending.slice(up);
    const names = [...reached, ...(up === -1 ? pending : pending.slice(0, up))];
    const target: PathTarget<Found> = names.length === 0 ? { kind: 'directory', names } : await look(names);
    const isLast = target.kind === 'entry' && rest.length === 0 && target.depth === names.length;
    if (target.kind === 'entry' && target.entry.type === 'symlink' && !(isLast && keepsLast)) {
      links += 1;
      if (links > mostLinks) {
        throw cannot('UNSUPPORTED', `open ${quote(path)}`, `more than ${mostLinks} symbolic links`, { value: path });
      }
      link = target.entry;
      const { linkPath = '' } = link;
      reached = linkPath.startsWith('/') ? [] : names.slice(0, target.depth - 1);
      pending = [...namesIn(linkPath), ...names.slice(target.depth), ...rest];
    } else if (rest.length > 0 && target.kind === 'directory') {
      reached = names.slice(0, -1);
      pending = rest.slice(1);
    } else {
      const isFound = rest.length === 0 && (target.kind === 'directory' || isLast);
      return isFound ? target : { kind: 'nothing', link };
    }
  }
}

const namesIn = (path: string): readonly string[] => path.split('/').filter((name) => name !== '' && name !== '.');
