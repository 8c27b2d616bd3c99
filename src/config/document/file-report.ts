import { keyOf, pathText } from '../../text/faults.ts';
import { quote } from '../../text/quote.ts';
import type { Config } from '../model.ts';
import { parseConfig } from '../parse-config.ts';
import { pemFault, pemsOf } from '../pem.ts';
import { type FileProblem, fileError, mostProblems, type Position, placeText, type ReportProblem } from './document.ts';

/** A key path of a file, and where its key stands. */
export interface Place {
  readonly at: Position;
  readonly path: readonly PropertyKey[];
}

/** The problems and warnings of one file, collected while it is read. */
export interface Reading {
  /** `file:line` of a place, as `declaredAt` tells it. */
  line(place: Place): string;
  /** `file:line:column: key path` of a place, as `declaredAt` of TLS settings tells it. */
  spot(place: Place): string;
  /** The file cannot be used: what was found and what was expected, no secret in it. A function where it takes long to say. */
  problem(place: Place, words: string | (() => string)): void;
  /** The file says something that has no meaning here. */
  warn(place: Place, words: string): void;
  /**
   * What was read, checked; `INVALID_CONFIG` with all problems, in the file's order, where there are any: then its
   * certificates and keys are looked at, too, so that nothing is left to be told the next time.
   */
  end(config: Config): Read;
}

/** Takes keys that come again as problems beside the others. */
export const again =
  (reading: Reading): ReportProblem =>
  (at, words) =>
    reading.problem({ at, path: [] }, words);

/** Where TLS settings are declared, by setting. */
export const spotsOf = (
  places: Readonly<Record<string, Place | undefined>>,
  reading: Reading,
): Record<string, string> =>
  Object.fromEntries(
    Object.entries(places).flatMap(([setting, place]) => (place ? [[setting, reading.spot(place)]] : [])),
  );

/** Begins to read a file. */
export function startReading(file: string): Reading {
  const problems: FileProblem[] = [];
  let left = 0;
  const warnings = new Set<string>();
  const spots = new Map<string, Place>();
  const line = ({ at }: Place): string => `${file}:${at.line}`;
  const problem: Reading['problem'] = ({ at, path }, words) => {
    if (problems.length >= mostProblems) left++;
    else problems.push({ at, key: keyOf(path), found: typeof words === 'string' ? words : words() });
  };
  return {
    line,
    spot: (place) => {
      const spot = `${placeText(file, place.at)}: ${pathText(place.path)}`;
      spots.set(spot, place);
      return spot;
    },
    problem,
    warn: (place, words) => {
      warnings.add([line(place), keyOf(place.path) ?? [], words].flat().join(': '));
    },
    end(config) {
      if (problems.length > 0) {
        for (const [spot, fault] of pemFaults(config)) problem(spots.get(spot) ?? nowhere, fault);
        throw fileError(file, problems, left);
      }
      return { config: parseConfig(config, `config file ${quote(file)}`, file), warnings: [...warnings] };
    },
  };
}

const nowhere: Place = { at: { line: 1, column: 1 }, path: [] };

/** What is wrong with the certificates and keys of all hosts, by where they are declared: several hosts may have one. */
function pemFaults({ registries = {} }: Config): Map<string, string> {
  const faults = new Map<string, string>();
  for (const { mirrors = [], origin } of Object.values(registries)) {
    for (const { tls } of typeof origin === 'object' ? [...mirrors, origin] : mirrors) {
      for (const [path, written] of pemsOf(tls)) {
        const spot = tls?.declaredAt?.[pathText(path)];
        const fault = spot === undefined || faults.has(spot) ? undefined : pemFault(written);
        if (spot !== undefined && fault !== undefined) faults.set(spot, fault);
      }
    }
  }
  return faults;
}

/** What a file was understood to say. */
export interface Read {
  readonly config: Config;
  /** What it says that has no meaning here, each once, with `file:line`. */
  readonly warnings: readonly string[];
}
