import type { Content } from '../content/content.ts';
import type { Node } from './layer-tree.ts';
import type { Glance, Layers } from './layers.ts';
import type { LocateContext, Located } from './locate.ts';
import { createLookup, type Finding } from './lookup.ts';
import type { Place } from './resolve-path.ts';

/** The layer that has an entry, and the entry itself where the reading stands at it. */
export interface InLayer {
  readonly layer: Content;
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

/** Looks for a path from the upper layer down, and reads of each only what it must. */
export async function findInLayers(
  layers: Layers,
  names: readonly string[],
  { stand, ...context }: LocateContext & { readonly stand: Stand },
): Promise<Place<InLayer>> {
  const lookup = createLookup(names);
  for (const layer of [...layers.contents].reverse()) {
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
    return placeOf(finding, names, { layer, ...(isFile && { located }) });
  }
  return { kind: 'nothing' };
}

/** The reading of the layer, where it stands in it before the path. */
async function readOn(stand: Stand, layer: Content, path: string): Promise<Glance | undefined> {
  const { at } = stand;
  if (at?.layer !== layer) return undefined;
  const { tree, goOn } = at.glance;
  const known = path.split('/').reduce<Node | undefined>((node, name) => node?.children?.get(name), tree);
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
export const lookIn = (merged: Node, names: readonly string[]): Place<undefined> =>
  placeOf(createLookup(names).next(merged), names, undefined);

function placeOf<More>(finding: Finding, names: readonly string[], more: More): Place<More> {
  if (finding.kind === 'entry') return { ...finding, more };
  return finding.kind === 'directory' ? { kind: 'directory', names } : { kind: 'nothing' };
}
