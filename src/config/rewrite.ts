import { RE2JS } from 're2js';
import { cannot, configError, messageOf } from '../errors.ts';
import { nameProblem } from '../oci/reference.ts';
import { quote } from '../text/quote.ts';

/** What to make of a repository name on one mirror: an RE2 pattern, and a replacement in Go's template syntax. */
export interface RewriteRule {
  readonly pattern: string;
  readonly replacement: string;
}

export interface Rewriter {
  /** The name after the first rule that matches, all its matches replaced, and that rule; unchanged if none does. */
  rewrite(name: string): { readonly name: string; readonly rule?: RewriteRule };
  /** Replacements that name a group which their pattern has not: it is replaced by nothing. */
  readonly warnings: readonly string[];
}

/**
 * Compiles rules, tried in their order. Patterns are RE2's, matched in linear time; replacing is Go's
 * `Regexp.ReplaceAllString`. `INVALID_CONFIG` for a pattern that does not compile; `where` says whose rules they are.
 */
export function compileRewrites(rules: readonly RewriteRule[], where: string): Rewriter {
  const compiled = rules.map((rule, index) => ({ rule, ...compileRule(rule, `${where}, rewrite ${index}`) }));
  return {
    warnings: compiled.flatMap(({ warnings }) => warnings),
    rewrite(name) {
      for (const { rule, pattern, template } of compiled) {
        if (pattern.matcher(name).find()) return { name: replaceAll(pattern, template, name), rule };
      }
      return { name };
    },
  };
}

/** Refuses, as `INVALID_REWRITE`, a result that is not a repository name. */
export function checkRewritten(name: string, rule: RewriteRule, from: string): void {
  const problem = nameProblem(name);
  if (problem === undefined) return;
  throw cannot(
    'INVALID_REWRITE',
    `rewrite ${quote(from)} by ${quote(rule.pattern)} to ${quote(rule.replacement)}`,
    `${quote(name)}, ${problem}`,
  );
}

/** Compiling takes time in proportion to the length and, as RE2 writes out what is counted, to these numbers: under 0.2 s. */
const longestPattern = 4_096;
const mostRepeats = 1_000;

/** Why a pattern does not compile, or is not compiled as that would take too long; undefined if it is right. */
export function patternProblem(pattern: string): string | undefined {
  if (!isWellFormed(pattern)) return 'half a character in it (a lone surrogate)';
  if (pattern.length > longestPattern) return `${pattern.length} characters, expected at most ${longestPattern}`;
  const counts = Array.from(pattern.matchAll(/\{(\d+)(?:,(\d*))?\}/g), ([, least = '', most]) => Number(most || least));
  const repeats = counts.reduce((sum, count) => sum + count, 0);
  if (repeats > mostRepeats) return `the counts of its repetitions make ${repeats}, expected at most ${mostRepeats}`;
  try {
    RE2JS.compile(pattern);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** Whether a text is whole characters: no file can hold half a surrogate pair. */
export const isWellFormed = (text: string): boolean => !/\p{Surrogate}/u.test(text);

/** Literal text, or the number of the group to put in. */
type Template = readonly (string | number)[];

function compileRule(rule: RewriteRule, where: string) {
  const problem = patternProblem(rule.pattern);
  if (problem !== undefined) {
    throw configError(`compile ${where}, pattern ${quote(rule.pattern)}`, [{ found: problem }]);
  }
  const pattern = RE2JS.compile(rule.pattern);
  const { template, unknown } = compileTemplate(rule.replacement, pattern);
  const warnings = unknown.map(
    (name) =>
      `${where}: ${quote(name)} of replacement ${quote(rule.replacement)} names no group of ${quote(rule.pattern)}`,
  );
  return { pattern, template, warnings };
}

/** `$name`, `${name}` and `$$`. A bare name is the longest run of letters, digits and `_`: `$1_x` is the group `1_x`. */
const variable = /\$(?:\$|\{([\p{L}\p{Nd}_]+)\}|([\p{L}\p{Nd}_]+))/gu;

/** Of up to nine digits and no leading zero: a group's number. Else its name. */
const groupNumber = /^(?:0|[1-9]\d{0,8})$/;

function compileTemplate(replacement: string, pattern: RE2JS): { template: Template; unknown: string[] } {
  const names = new Map(Object.entries(pattern.namedGroups()));
  const template: (string | number)[] = [];
  const unknown: string[] = [];
  let end = 0;
  for (const match of replacement.matchAll(variable)) {
    template.push(replacement.slice(end, match.index));
    end = match.index + match[0].length;
    const name = match[1] ?? match[2];
    const group = name !== undefined && groupNumber.test(name) ? Number(name) : names.get(name ?? '');
    if (name === undefined) template.push('$');
    else if (group === undefined || group > pattern.groupCount()) unknown.push(match[0]);
    else template.push(group);
  }
  return { template: [...template, replacement.slice(end)], unknown };
}

function replaceAll(pattern: RE2JS, template: Template, name: string): string {
  const matcher = pattern.matcher(name);
  let result = '';
  let last = 0;
  while (matcher.find()) {
    result += name.slice(last, matcher.start());
    // Go replaces no empty match that begins where another ended: `(.*)` matches once.
    if (matcher.end() > last || matcher.start() === 0) {
      for (const part of template) result += typeof part === 'number' ? (matcher.group(part) ?? '') : part;
    }
    last = matcher.end();
  }
  return result + name.slice(last);
}
