import { RegistryError } from '../errors.ts';
import { quote } from '../oci/quote.ts';
import type { Position } from './document.ts';
import { longestText } from './document.ts';

/** `hosts.toml:3:1`. */
export const placeText = (file: string, { line, column }: Position): string => `${file}:${line}:${column}`;

/** `INVALID_CONFIG` with every problem of a file, each beginning with its place. */
export function fileError(file: string, problems: readonly string[], cause?: unknown): RegistryError {
  const told =
    problems.length === 1
      ? problems[0]
      : `${problems.length} problems${problems.map((line) => `\n  ${line}`).join('')}`;
  return new RegistryError('INVALID_CONFIG', `Cannot use config file ${quote(file)}: ${told}`, { cause });
}

/** Refuses, as `INVALID_CONFIG`, a text that no configuration is as long as. */
export function checkLength(text: string, file: string, longest = longestText): void {
  if (text.length <= longest) return;
  throw fileError(file, [`found ${text.length} characters, expected at most ${longest}`]);
}
