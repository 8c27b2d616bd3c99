/** Looks for the path that a wrong one was meant to be, among those that come by. */
export interface NearestPath {
  /** Paths that there are. */
  see(path: string): void;
  /** `, did you mean "usr/bin/env"?`, or nothing. */
  readonly hint: string;
}

/**
 * How alike two paths are: the same but for case, the same name elsewhere, or a neighbour that begins alike. Nothing that
 * takes longer: it is asked of every entry of a layer.
 */
export function createNearestPath(wanted: string): NearestPath {
  const lower = wanted.toLowerCase();
  const name = nameOf(lower);
  const directory = lower.slice(0, lower.length - name.length);
  let best: string | undefined;
  let most = 0;
  const likeness = (path: string): number => {
    const other = path.toLowerCase();
    if (other === lower) return 1000;
    if (nameOf(other) === name) return 500;
    return other.startsWith(directory) ? alike(nameOf(other), name) : 0;
  };
  return {
    see: (path) => {
      const found = likeness(path);
      if (found <= most) return;
      most = found;
      best = path;
    },
    get hint() {
      return best === undefined ? '' : `, did you mean ${JSON.stringify(best.slice(0, 300))}?`;
    },
  };
}

const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/** Letters that two names begin with, where that is at least half of either; 0 otherwise. */
function alike(first: string, second: string): number {
  let count = 0;
  while (count < first.length && count < 400 && first[count] === second[count]) count++;
  return count * 2 >= Math.max(first.length, second.length) ? count : 0;
}
