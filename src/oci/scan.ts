/** The characters of a token. https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2 */
export const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";

/** A header field that is read from its start on, by sticky patterns. */
export interface Scanner {
  /** Where it stands. May be set, to go on elsewhere. */
  at: number;
  /** What the pattern matches here, passing over it; undefined, standing still, where it does not. */
  take(pattern: RegExp): RegExpExecArray | undefined;
}

export function scan(field: string): Scanner {
  const scanner: Scanner = {
    at: 0,
    take: (pattern) => {
      pattern.lastIndex = scanner.at;
      const match = pattern.exec(field);
      if (match) scanner.at += match[0].length;
      return match ?? undefined;
    },
  };
  return scanner;
}

/** A quoted string without its quotes, its escapes taken off. */
export const unescaped = (quoted: string): string => quoted.replace(/\\(.)/g, '$1');
