import type { Content } from '../content/content.ts';
import { cannot } from '../errors.ts';
import { quote } from '../text/quote.ts';
import type { FileEntry } from './entry.ts';
import { lostLink } from './layer.ts';
import { createLookup, mostLinks, type Node } from './layer-tree.ts';
import type { Glance, Layers } from './layers.ts';
import { type LocateContext, type Located, nothingAsked } from './locate.ts';

/** The layer that has an entry, what it calls it, and the entry itself where the reading stands at it. */
export interface InLayer {
  readonly layer: Content;
  readonly entry: FileEntry;
  readonly located?: Located | undefined;
}

/** A layer whose reading stands at a symbolic link: what that leads to often comes behind it. */
export interface Stand {
  at?: { readonly layer: Content; readonly glance: Glance } | undefined;
}

/** Ends the reading that stands somewhere. */
export async function leave(stand: Stand): Promise<void> {
  const { at } = stand;
  stand.at = undefined;
  await at?.glance.located?.release();
}

/** How to look for a path, and where the reading stands in the meantime. */
export interface FindContext extends LocateContext {
  readonly stand: Stand;
}

/** What a path leads to. Once it turns out that what was gone by was replaced in its layer, that one is known whole. */
export async function findPath(
  layers: Layers,
  path: string,
  context: Omit<FindContext, 'asked'>,
): Promise<Place<InLayer>> {
  for (;;) {
    const asked = nothingAsked();
    const found = resolvePath(path, (names) => findInLayers(layers, names, { ...context, asked }));
    const place = await found.catch((error: unknown) => {
      if (!asked.isWrong) throw error;
    });
    if (place && !asked.isWrong) return place;
    if (place?.kind === 'entry') await place.more.located?.release();
    await leave(context.stand);
  }
}

/** What is at a path in all layers together; a hard link is what it links to, under its own path. */
async function findInLayers(layers: Layers, names: readonly string[], context: FindContext): Promise<Place<InLayer>> {
  const place = await findAsIs(layers, names, context);
  if (place.kind !== 'entry') return place;
  let { more } = place;
  for (let links = 0; more.entry.type === 'hardlink'; links++) {
    await more.located?.release();
    const linked = links < mostLinks ? await linkedBy(layers, more, context) : undefined;
    if (!linked) throw lostLink(more.layer, more.entry);
    more = linked;
  }
  return { ...place, entry: { ...more.entry, path: place.entry.path }, more };
}

/**
 * What a hard link is another name of. That is in its own layer, as most runtimes unpack each for itself. Some unpack a
 * layer into those below, where it can be anything that these have, also before the layer hides it.
 */
async function linkedBy(layers: Layers, { layer, entry }: InLayer, context: FindContext): Promise<InLayer | undefined> {
  const { linkPath = '' } = entry;
  const { tree, located } = await layers.glance(layer, linkPath, context);
  const own = nodeAt(tree, linkPath)?.entry;
  if (own) return { layer, entry: own, located };
  await located?.release();
  const at = layers.contents.indexOf(layer);
  for (const count of [at + 1, at]) {
    const look = (names: readonly string[]) => findAsIs(layers, names, context, count);
    const place = await resolvePath(linkPath, look, { keepsLast: true });
    if (place.kind === 'entry') return place.more;
  }
  return undefined;
}

/** Looks for a path from the upper one of `count` layers down, and reads of each only what it must. */
async function findAsIs(
  layers: Layers,
  names: readonly string[],
  { stand, ...context }: FindContext,
  count: number = layers.contents.length,
): Promise<Place<InLayer>> {
  const lookup = createLookup(names);
  for (const layer of layers.contents.slice(0, count).reverse()) {
    const path = names.join('/');
    const glance = (await readOn(stand, layer, path)) ?? (await layers.glance(layer, path, context));
    const { tree, located } = glance;
    const finding = lookup.next(tree);
    const isFile = finding.kind === 'entry' && finding.depth === names.length && finding.entry.type !== 'symlink';
    const isLink = finding.kind === 'entry' && finding.entry.type === 'symlink';
    if (located && isLink) {
      await leave(stand);
      stand.at = { layer, glance };
    } else if (!isFile) await located?.release();
    if (finding.kind === 'unknown' && !finding.isEnd) continue;
    if (finding.kind === 'entry')
      return { ...finding, more: { layer, entry: finding.entry, located: isFile ? located : undefined } };
    return finding.kind === 'directory' ? { kind: 'directory', names } : { kind: 'nothing' };
  }
  return { kind: 'nothing' };
}

/** The reading of the layer, where it stands in it before the path. */
async function readOn(stand: Stand, layer: Content, path: string): Promise<Glance | undefined> {
  const { at } = stand;
  if (at?.layer !== layer) return undefined;
  const { tree, goOn } = at.glance;
  const known = nodeAt(tree, path);
  // That it is a directory is known, and nothing else is asked of one.
  if (known?.children) return { tree };
  if (known?.entry || !goOn) {
    await leave(stand);
    return undefined;
  }
  stand.at = undefined;
  return goOn(path);
}

/** The same in what all layers make together. */
export function lookIn(merged: Node, names: readonly string[]): Place<undefined> {
  const finding = createLookup(names).next(merged);
  if (finding.kind === 'entry') return { ...finding, more: undefined };
  return finding.kind === 'directory' ? { kind: 'directory', names } : { kind: 'nothing' };
}

const nodeAt = (tree: Node, path: string): Node | undefined =>
  path.split('/').reduce<Node | undefined>((node, name) => node?.children?.get(name), tree);

/**
 * What is at a path, or, `depth` names deep, in the way to it. `more` is whatever the asked adds, `link` the symbolic link
 * that was followed last.
 */
export type Place<More> =
  | { readonly kind: 'entry'; readonly entry: FileEntry; readonly depth: number; readonly more: More }
  | { readonly kind: 'directory'; readonly names: readonly string[] }
  | { readonly kind: 'nothing'; readonly link?: FileEntry | undefined };

/** As Linux has it. */

const namesOf = (path: string): readonly string[] => path.split('/').filter((name) => name !== '' && name !== '.');

/**
 * Follows a path and the symbolic links in it, its last name too, never out of the root. `look` says what is at names
 * that stand for directories as they are, but for the last ones. With `keepsLast` a link at the path itself is what is
 * there. `UNSUPPORTED` for more than forty links.
 */
export async function resolvePath<More>(
  path: string,
  look: (names: readonly string[]) => Promise<Place<More>>,
  { keepsLast = false }: { readonly keepsLast?: boolean } = {},
): Promise<Place<More>> {
  let reached: readonly string[] = [];
  let pending = namesOf(path);
  let link: FileEntry | undefined;
  for (let links = 0; ; ) {
    const back = pending.indexOf('..');
    const names = [...reached, ...(back === -1 ? pending : pending.slice(0, back))];
    const place: Place<More> = names.length === 0 ? { kind: 'directory', names } : await look(names);
    const isLast = place.kind === 'entry' && back === -1 && place.depth === names.length;
    if (place.kind === 'entry' && place.entry.type === 'symlink' && !(isLast && keepsLast)) {
      links += 1;
      if (links > mostLinks) {
        throw cannot('UNSUPPORTED', `open ${quote(path)}`, `more than ${mostLinks} symbolic links`);
      }
      link = place.entry;
      const { linkPath = '' } = link;
      const rest = [...names.slice(place.depth), ...(back === -1 ? [] : pending.slice(back))];
      reached = linkPath.startsWith('/') ? [] : names.slice(0, place.depth - 1);
      pending = [...namesOf(linkPath), ...rest];
    } else if (back !== -1 && place.kind === 'directory') {
      reached = names.slice(0, -1);
      pending = pending.slice(back + 1);
    } else {
      const isAt = place.kind !== 'entry' || isLast;
      const isFound = isAt && place.kind !== 'nothing' && !(back !== -1 && place.kind !== 'directory');
      return isFound ? place : { kind: 'nothing', link };
    }
  }
}
