import { type ConfigProblem, configError } from '../../errors.ts';

/** Hashes by user name. */
export type HtpasswdTable = ReadonlyMap<string, string>;

/** The highest cost of a hash: one login then takes five seconds of a processor. */
const mostCost = 16;

/**
 * Reads the text of an htpasswd file: `NAME:HASH` in each line, hashes of bcrypt only (`htpasswd -B`). Empty lines and those
 * that begin with `#` say nothing; of two lines of one user the later counts. `INVALID_CONFIG` names each wrong line by its
 * number; it never has what is in it.
 */
export function parseHtpasswd(text: string, path: string): HtpasswdTable {
  const table = new Map<string, string>();
  const problems: ConfigProblem[] = [];
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const colon = line.indexOf(':');
    const found = colon < 1 ? 'found a line that is not NAME:HASH' : hashProblem(line.slice(colon + 1));
    if (found !== undefined) problems.push({ file: path, line: index + 1, found });
    else table.set(line.slice(0, colon), line.slice(colon + 1));
    if (problems.length === mostProblems) break;
  }
  if (problems.length > 0) throw configError(`read htpasswd file "${path}"`, problems, { value: path });
  return table;
}

/** Problems that are listed of a file. */
const mostProblems = 20;

/** Two to the power of this is how often a hash is repeated. */
export const costOf = (hash: string): number => Number(hash.slice(4, 6));

const otherKinds: readonly (readonly [start: string, name: string])[] = [
  ['$apr1$', 'MD5 (apr1)'],
  ['$1$', 'MD5'],
  ['$5$', 'SHA-256'],
  ['$6$', 'SHA-512'],
  ['$argon2', 'argon2'],
  ['$y$', 'yescrypt'],
  ['$2x$', 'the bcrypt of a broken release'],
  ['{SHA}', 'SHA-1'],
  ['{SSHA}', 'salted SHA-1'],
];

function hashProblem(hash: string): string | undefined {
  if (/^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/.test(hash)) {
    const cost = costOf(hash);
    return cost >= 4 && cost <= mostCost ? undefined : `found a cost of ${cost}, expected 4 to ${mostCost}`;
  }
  const kind = otherKinds.find(([start]) => hash.startsWith(start))?.[1];
  return `found ${kind === undefined ? 'no hash of bcrypt' : `a hash of ${kind}`}, expected one of "htpasswd -B"`;
}
