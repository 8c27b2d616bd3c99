import { cannot } from '../errors.ts';
import { quote } from '../oci/quote.ts';
import type { FileEntry } from './entry.ts';

/**
 * What is at a path, or, `depth` names deep, in the way to it. `more` is whatever the asked adds, `link` the symbolic link
 * that was followed last.
 */
export type Place<More> =
  | { readonly kind: 'entry'; readonly entry: FileEntry; readonly depth: number; readonly more: More }
  | { readonly kind: 'directory'; readonly names: readonly string[] }
  | { readonly kind: 'nothing'; readonly link?: FileEntry | undefined };

/** As Linux has it. */
const mostLinks = 40;

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
