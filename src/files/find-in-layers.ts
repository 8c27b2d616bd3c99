import type { Content } from '../content/content.ts';
import type { Node } from './layer-tree.ts';
import type { Layers } from './layers.ts';
import type { LocateContext, Located } from './locate.ts';
import { createLookup, type Finding } from './lookup.ts';
import type { Place } from './resolve-path.ts';

/** The layer that has an entry, and the entry itself where the reading stands at it. */
export interface InLayer {
  readonly layer: Content;
  readonly located?: Located | undefined;
}

/** Looks for a path from the upper layer down, and reads of each only what it must. */
export async function findInLayers(
  layers: Layers,
  names: readonly string[],
  context: LocateContext,
): Promise<Place<InLayer>> {
  const lookup = createLookup(names);
  for (const layer of [...layers.contents].reverse()) {
    const { tree, located } = await layers.glance(layer, names.join('/'), context);
    const finding = lookup.next(tree);
    const isFile = finding.kind === 'entry' && finding.depth === names.length && finding.entry.type !== 'symlink';
    if (!isFile) await located?.release();
    if (finding.kind === 'unknown' && !finding.isEnd) continue;
    return placeOf(finding, names, { layer, ...(isFile && { located }) });
  }
  return { kind: 'nothing' };
}

/** The same in what all layers make together. */
export const lookIn = (merged: Node, names: readonly string[]): Place<undefined> =>
  placeOf(createLookup(names).next(merged), names, undefined);

function placeOf<More>(finding: Finding, names: readonly string[], more: More): Place<More> {
  if (finding.kind === 'entry') return { ...finding, more };
  return finding.kind === 'directory' ? { kind: 'directory', names } : { kind: 'nothing' };
}
