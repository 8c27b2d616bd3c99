import { type KeyPath, keyOf, pathText } from '../../text/problems.ts';
import { quote } from '../../text/quote.ts';
import type { Config } from '../model.ts';
import { parseConfig } from '../parse-config.ts';
import { pemProblem, pemsOf } from '../pem.ts';
import { type FileProblem, fileError, mostProblems, type Position, placeText, type ReportProblem } from './document.ts';

/** A key path of a file, and the position of its key. */
export interface KeyPlace {
  readonly at: Position;
  readonly path: KeyPath;
}

/** What a file says. */
export interface ParsedFile {
  readonly config: Config;
  /** What it says that has no meaning here, each once, with `file:line`. */
  readonly warnings: readonly string[];
}

/** The problems and warnings of one file, collected while it is read. */
export interface FileReport {
  /** `file:line` of a place, for `declaredAt`. */
  line(place: KeyPlace): string;
  /** `file:line:column: key path` of each place, for `declaredAt` of TLS settings. */
  declarations(places: Readonly<Record<string, KeyPlace | undefined>>): Record<string, string>;
  /** The file cannot be used: what was found and what was expected, without secrets. A function if it takes long to say. */
  problem(place: KeyPlace, found: string | (() => string)): void;
  /** For parsers: a duplicate key is a problem beside the others. */
  readonly duplicate: ReportProblem;
  /** The file says something that has no meaning here. A function if it takes long to say. */
  warn(place: KeyPlace, words: string | (() => string)): void;
  /**
   * What was read, checked. `INVALID_CONFIG` with all problems, in the file's order, if there are any: then its certificates
   * and keys are read, too, so that nothing is left to be reported the next time.
   */
  end(config: Config): ParsedFile;
}

export function createFileReport(file: string): FileReport {
  const problems: FileProblem[] = [];
  let left = 0;
  const warnings = new Set<string>();
  let leftWarnings = 0;
  const declared = new Map<string, KeyPlace>();
  const line = ({ at }: KeyPlace): string => `${file}:${at.line}`;
  const declaration = (place: KeyPlace): string => {
    const text = `${placeText(file, place.at)}: ${pathText(place.path)}`;
    declared.set(text, place);
    return text;
  };
  const problem: FileReport['problem'] = ({ at, path }, found) => {
    if (problems.length >= mostProblems) left++;
    else problems.push({ at, key: keyOf(path), found: typeof found === 'string' ? found : found() });
  };
  return {
    line,
    declarations: (places) =>
      Object.fromEntries(
        Object.entries(places).flatMap(([setting, place]) => (place ? [[setting, declaration(place)]] : [])),
      ),
    problem,
    duplicate: (at, found) => problem({ at, path: [] }, found),
    warn: (place, words) => {
      if (warnings.size >= mostProblems) {
        leftWarnings++;
        return;
      }
      const text = typeof words === 'string' ? words : words();
      warnings.add([line(place), keyOf(place.path) ?? [], text].flat().join(': '));
    },
    end(config) {
      if (problems.length > 0) {
        for (const [declaredAt, found] of pemProblems(config)) problem(declared.get(declaredAt) ?? start, found);
        throw fileError(file, problems, left);
      }
      const more = leftWarnings > 0 ? [`${file}: and ${leftWarnings} more warnings`] : [];
      return { config: parseConfig(config, `config file ${quote(file)}`, file), warnings: [...warnings, ...more] };
    },
  };
}

const start: KeyPlace = { at: { line: 1, column: 1 }, path: [] };

/** What is wrong with the certificates and keys of all hosts, by where they are declared: several hosts may have one. */
function pemProblems({ registries = {} }: Config): Map<string, string> {
  const problems = new Map<string, string>();
  for (const { mirrors = [], origin } of Object.values(registries)) {
    for (const { tls } of typeof origin === 'object' ? [...mirrors, origin] : mirrors) {
      for (const [path, textOrPath] of pemsOf(tls)) {
        const declaredAt = tls?.declaredAt?.[pathText(path)];
        const found = declaredAt === undefined || problems.has(declaredAt) ? undefined : pemProblem(textOrPath);
        if (declaredAt !== undefined && found !== undefined) problems.set(declaredAt, found);
      }
    }
  }
  return problems;
}
