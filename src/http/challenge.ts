import { type Scanner, scan, token, unescaped } from '../oci/scan.ts';

/** One way to authenticate that a server offers. RFC 9110 section 11.6.1 */
export interface Challenge {
  /** Lower case. */
  readonly scheme: string;
  /** Names in lower case. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly token68?: string | undefined;
}

const patterns = {
  separators: /[\s,]*/y,
  scheme: new RegExp(`(${token})(?=[ \\t]|,|$)`, 'y'),
  // A token68 stands alone before the next comma; anything else with "=" inside is a parameter.
  token68: /[ \t]+([A-Za-z0-9._~+/-]+=*)[ \t]*(?=,|$)/y,
  // Unquoted values go up to the next comma or space: real servers leave URLs bare.
  parameter: new RegExp(`[ \\t]*(${token})[ \\t]*=[ \\t]*(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s,"]+))[ \\t]*(?=,|$)`, 'y'),
  comma: /[ \t]*(?:,[ \t]*)+/y,
};

/**
 * The challenges of a WWW-Authenticate field; several lines are one, joined by commas. What comes after the first
 * fault is left out, and `malformed` tells it.
 */
export function parseChallenges(field: string): { challenges: Challenge[]; malformed?: string } {
  const challenges: Challenge[] = [];
  const scanner = scan(field);
  for (;;) {
    scanner.take(patterns.separators);
    if (scanner.at === field.length) return { challenges };
    const scheme = scanner.take(patterns.scheme)?.[1]?.toLowerCase();
    if (scheme === undefined) return { challenges, malformed: field.slice(scanner.at) };
    const alone = scanner.take(patterns.token68)?.[1];
    const parameters = alone === undefined ? takeParameters(scanner) : {};
    challenges.push({ scheme, parameters, ...(alone !== undefined && { token68: alone }) });
  }
}

function takeParameters(scanner: Scanner): Record<string, string> {
  const parameters: Record<string, string> = Object.create(null);
  for (let count = 0; ; count += 1) {
    const before = scanner.at;
    if (count > 0 && !scanner.take(patterns.comma)) return parameters;
    const match = scanner.take(patterns.parameter);
    if (!match) {
      scanner.at = before;
      return parameters;
    }
    const [, name = '', quoted, bare = ''] = match;
    parameters[name.toLowerCase()] ??= quoted === undefined ? bare : unescaped(quoted);
  }
}
