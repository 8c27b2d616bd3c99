import { normalizeRegistry } from '../../oci/reference.ts';
import { quote } from '../../text/quote.ts';
import { patternProblem, type RewriteRule } from '../rewrite.ts';
import type { Named } from './decoders.ts';
import type { FileReport } from './file-report.ts';

/** Rewrite rules in the file's order. A pattern that does not compile is a problem. */
export function readRules(rules: readonly Named<string>[], report: FileReport): RewriteRule[] {
  return rules.map((rule) => {
    const problem = patternProblem(rule.key);
    if (problem !== undefined) report.problem(rule, `found ${quote(rule.key)}, expected an RE2 pattern: ${problem}`);
    return { pattern: rule.key, replacement: rule.value };
  });
}

/** A path of a file as it is, or below a directory. */
export function below(directory: string, path: string): string {
  if (directory === '' || /^(?:[\\/]|[A-Za-z]:[\\/])/.test(path)) return path;
  return /[\\/]$/.test(directory) ? directory + path : `${directory}/${path}`;
}

/** The directory of a file; empty if its name has none. */
export const directoryOf = (file: string): string =>
  file.slice(0, Math.max(file.lastIndexOf('/'), file.lastIndexOf('\\')) + 1);

/** A URL as messages show it, whether or not its scheme is written: without user, password and query. */
export const shownUrl = (url: string): string => url.replace(/^([a-z]+:\/\/)?.*@/is, '$1***@').replace(/\?.*/s, '?***');

/** Docker Hub's API answers at one host, whichever of its names is written. */
export function apiHost(url: URL): URL {
  const found = new URL(url);
  if (normalizeRegistry(url.host) === 'docker.io') found.host = 'registry-1.docker.io';
  return found;
}
