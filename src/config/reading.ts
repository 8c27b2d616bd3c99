import { pathText } from '../oci/issue.ts';
import { quote } from '../oci/quote.ts';
import { parseConfig } from './config.ts';
import type { Position } from './document.ts';
import { fileError, placeText } from './file-problems.ts';
import type { Config } from './model.ts';
import type { Read } from './read.ts';

/** A key path of a file, and where its key stands. */
export interface Place {
  readonly at: Position;
  readonly path: readonly PropertyKey[];
}

/** The problems and warnings of one file, collected while it is read. */
export interface Reading {
  /** `file:line` of a place, as `declaredAt` tells it. */
  line(place: Place): string;
  /** The file cannot be used: what was found and what was expected, no secret in it. A function where it takes long to say. */
  problem(place: Place, words: string | (() => string)): void;
  /** The file says something that has no meaning here. */
  warn(place: Place, words: string): void;
  /** What was read, checked; `INVALID_CONFIG` with all problems, in the file's order, where there are any. */
  end(config: Config): Read;
}

/** Problems of one file that are told; more of them tell no more. */
const mostProblems = 100;

const compare = (a: Position, b: Position): number => a.line - b.line || a.column - b.column;

/** Begins to read a file. */
export function startReading(file: string): Reading {
  const problems: { readonly at: Position; readonly line: string }[] = [];
  let left = 0;
  const warnings = new Set<string>();
  const line = ({ at }: Place): string => `${file}:${at.line}`;
  const named = (path: Place['path'], words: string): string =>
    path.length === 0 ? words : `${pathText(path)}: ${words}`;
  return {
    line,
    problem: ({ at, path }, words) => {
      if (problems.length >= mostProblems) left++;
      else
        problems.push({
          at,
          line: `${placeText(file, at)}: ${named(path, typeof words === 'string' ? words : words())}`,
        });
    },
    warn: (place, words) => {
      warnings.add(`${line(place)}: ${named(place.path, words)}`);
    },
    end(config) {
      if (problems.length > 0) {
        const lines = problems.sort((a, b) => compare(a.at, b.at)).map((problem) => problem.line);
        throw fileError(file, left > 0 ? [...lines, `and ${left} more`] : lines);
      }
      return { config: parseConfig(config, `config file ${quote(file)}`), warnings: [...warnings] };
    },
  };
}
