import { longestTimer } from '../abort.ts';
import { type ConfigProblem, configError } from '../errors.ts';
import { parsePlatform } from '../oci/platform.ts';
import { isTag, nameProblem } from '../oci/reference.ts';
import type { ServeOptions } from '../server/registry/serve-options.ts';
import {
  type Check,
  type Checks,
  type KeyPath,
  listener,
  optionProblems,
  pathText,
  shown,
  wholeNumber,
} from '../text/problems.ts';
import { isPlain, quote } from '../text/quote.ts';
import { isBytes } from './archive.ts';
import { kindOfAccess, type TestAccess } from './exchange.ts';
import { type AnyFault, bodyNames, breakNames, type Fault, responseNames, type TestRequestKind } from './faults.ts';
import type { ServerKeys } from './faulty-server.ts';
import type { TestImage, TestImageContent } from './images.ts';

/** What a registry for tests has, and what goes wrong with it. They are checked: `INVALID_CONFIG`. */
export interface TestRegistryOptions<Name extends string = string> extends TestAccess {
  /** By `repository:tag`; without a tag it is `latest`. */
  readonly images?: Readonly<Record<Name, TestImage>> | undefined;
  /** For each request the first one that it fits. */
  readonly faults?: readonly Fault[] | undefined;
  /** Certificate chain and key, PEM: it is an https server. */
  readonly tls?: ServerKeys | undefined;
  /** What it offers, and its limits. */
  readonly serve?: ServeOptions | undefined;
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isData = (value: unknown): boolean => isText(value) || isBytes(value);
const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && isPlain(value);
const isWhole = (value: unknown, least: number): boolean => Number.isSafeInteger(value) && Number(value) >= least;

const expected =
  (isRight: (value: unknown) => boolean, what: string): Check =>
  (value) =>
    isRight(value) ? undefined : `expected ${what}`;
const oneOf = (...values: readonly string[]): Check =>
  expected((value) => isText(value) && values.includes(value), values.map((value) => quote(value)).join(', '));
const someOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.length > 0 ? value.map(check).find((one) => one !== undefined) : check(value);
const texts = expected((value) => isObject(value) && Object.values(value).every(isText), 'texts by name');
const data = expected(isData, 'a text or bytes');
const always = expected((value) => value === true, 'true');

const kinds: Readonly<Record<TestRequestKind, true>> = {
  base: true,
  catalog: true,
  manifest: true,
  blob: true,
  tags: true,
  referrers: true,
  uploads: true,
  upload: true,
  token: true,
  other: true,
};

const pattern = expected(
  (value) => isText(value) || Object.prototype.toString.call(value) === '[object RegExp]',
  'a text or a pattern',
);
const place = expected((value) => value === 'head' || isWhole(value, 0), '"head" or a number of bytes');

function isTurns(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0 && value.every((one) => isWhole(one, 1));
  if (!isObject(value)) return isWhole(value, 1);
  const { from = 1, to = Number.MAX_SAFE_INTEGER, ...more } = value;
  return isWhole(from, 1) && isWhole(to, Number(from)) && Object.keys(more).length === 0;
}

const isHeaderText = (value: unknown): boolean => isText(value) && /^[\t\x20-\x7e\x80-\xff]*$/.test(value);
const isHeaders = (value: unknown): boolean =>
  isObject(value) &&
  Object.entries(value).every(
    ([name, one]) =>
      /^[\w!#$%&'*+.^`|~-]+$/.test(name) && (one === null || (Array.isArray(one) ? one : [one]).every(isHeaderText)),
  );

const faultChecks: Readonly<Record<keyof AnyFault, Check>> = {
  method: someOf(expected((value) => isText(value) && /^[A-Z]+$/.test(value), 'a method, in capital letters')),
  kind: someOf(oneOf(...Object.keys(kinds))),
  repository: pattern,
  reference: pattern,
  host: expected(isText, 'a host'),
  when: listener,
  nth: expected(isTurns, 'a whole number from 1 on, several of them, or { from, to }'),
  delay: wholeNumber(0, longestTimer),
  speed: wholeNumber(1),
  headers: expected(isHeaders, 'values of headers by name, or null'),
  body: expected((value) => isData(value) || isObject(value) || Array.isArray(value), 'a text, bytes or an object'),
  wrongBytes: wholeNumber(0),
  change: listener,
  ignoreRange: always,
  status: wholeNumber(200, 599),
  rateLimit: expected((value) => isHeaderText(value) || isWhole(value, 0), 'seconds or a date'),
  expiredToken: always,
  cut: place,
  reset: place,
  stall: place,
  shorten: wholeNumber(0),
  raw: data,
  down: expected((value) => value === true || isWhole(value, 1), 'true or milliseconds'),
};

function faultProblems(fault: unknown, path: KeyPath, access: TestAccess): ConfigProblem[] {
  const problems = optionProblems(fault, faultChecks, path);
  if (problems.length > 0 || !isObject(fault)) return problems;
  const given = (names: readonly string[]): readonly string[] => names.filter((name) => fault[name] !== undefined);
  const effects = [...responseNames, ...breakNames, 'delay', 'headers', ...bodyNames];
  const found = [responseNames, breakNames]
    .map(given)
    .filter((names) => names.length > 1)
    .map((names) => `found ${names.map((name) => quote(name)).join(' and ')}, expected one of them`);
  if (given(effects).length === 0) found.push(`nothing goes wrong, expected one of ${effects.join(', ')}`);
  if (fault.expiredToken !== undefined && kindOfAccess(access) !== 'token') {
    found.push('found "expiredToken", expected a registry with access "token"');
  }
  const key = path.length === 0 ? {} : { key: pathText(path) };
  return found.map((text) => ({ ...key, found: text }));
}

const isPath = (path: string): boolean =>
  path !== '' &&
  !path.split('/').some((part, at) => part === '.' || part === '..' || (part === '' && at === 0)) &&
  !path.includes('\0');

const fileChecks: Checks = {
  content: data,
  size: wholeNumber(0, 2 ** 31),
  link: expected((value) => isText(value) && value !== '', 'a path'),
  mode: wholeNumber(0, 0o7777),
};

const fileCheck =
  (path: string): Check =>
  (value) => {
    if (!isPath(path)) return 'expected a path without "/" at the beginning, "." and ".."';
    if (isData(value)) return undefined;
    if (!isObject(value)) return 'expected a text, bytes, or an object with content, size or link';
    const sources = ['content', 'size', 'link'].filter((name) => value[name] !== undefined);
    return sources.length > 1 ? `expected only one of ${sources.join(', ')}` : fileChecks;
  };

const files: Check = (value) =>
  isObject(value)
    ? Object.fromEntries(Object.keys(value).map((path) => [path, fileCheck(path)]))
    : 'expected files by path';

const compression = oneOf('gzip', 'zstd', 'none');
const mediaType = expected((value) => isText(value) && /^[\w.+-]+\/[\w.+-]+$/.test(value), 'a media type');

const layerChecks: Checks = { files, bytes: data, compression, mediaType, annotations: texts };

const contentChecks: Readonly<Record<keyof TestImageContent, Check>> = {
  files,
  layers: expected(Array.isArray, 'a list'),
  compression,
  config: expected(isObject, 'an object'),
  annotations: texts,
};

const imageChecks: Readonly<Record<keyof TestImage, Check>> = {
  ...contentChecks,
  platforms: expected((value) => Array.isArray(value) || isObject(value), 'platforms, or images by platform'),
  tags: expected((value) => Array.isArray(value) && value.every((tag) => isText(tag) && isTag(tag)), 'a list of tags'),
  untagged: always,
  format: oneOf('oci', 'docker'),
  artifactType: mediaType,
  subject: expected(isText, 'the name of an image'),
};

/** Of a pair that excludes each other. */
function pairProblem(given: unknown, [one, other]: readonly [string, string], path: KeyPath): ConfigProblem[] {
  if (!isObject(given) || given[one] === undefined || given[other] === undefined) return [];
  return [{ key: pathText(path), found: `found ${quote(one)} and ${quote(other)}, expected one of them` }];
}

function contentProblems(content: unknown, path: KeyPath, checks: Checks): ConfigProblem[] {
  const layers = isObject(content) && Array.isArray(content.layers) ? content.layers : [];
  return [
    ...optionProblems(content, checks, path),
    ...pairProblem(content, ['files', 'layers'], path),
    ...layers.flatMap((layer: unknown, index) => {
      const at = [...path, 'layers', index];
      return [...optionProblems(layer, layerChecks, at), ...pairProblem(layer, ['files', 'bytes'], at)];
    }),
  ];
}

function imageProblems(name: string, image: unknown, path: KeyPath, earlier: readonly string[]): ConfigProblem[] {
  const problem = (found: string, ...more: KeyPath): ConfigProblem => ({ key: pathText([...path, ...more]), found });
  const [repository = '', tag = 'latest', ...rest] = name.split(':');
  const wrong = nameProblem(repository);
  const problems = contentProblems(image, path, imageChecks);
  if (wrong !== undefined) problems.push(problem(`found ${quote(name)}, ${wrong}`));
  else if (!isTag(tag) || rest.length > 0) problems.push(problem(`found ${quote(name)}, expected repository:tag`));
  if (!isObject(image)) return problems;
  const { subject, platforms = [] } = image;
  if (isText(subject) && !earlier.some((one) => one === subject && one.split(':')[0] === repository)) {
    problems.push(problem(`found ${quote(subject)}, expected an image of "${repository}" before this one`, 'subject'));
  }
  const parts = Array.isArray(platforms) ? platforms.map((one) => [one, {}]) : Object.entries(platforms as object);
  for (const [platform, part] of parts) {
    if (!isPlatform(platform))
      problems.push(problem(`found ${shown(platform)}, expected os/architecture`, 'platforms'));
    else problems.push(...contentProblems(part, [...path, 'platforms', String(platform)], contentChecks));
  }
  return problems;
}

function isPlatform(text: unknown): boolean {
  try {
    return isText(text) && text.includes('/') && parsePlatform(text) !== undefined;
  } catch {
    return false;
  }
}

const optionChecks: Readonly<Record<keyof TestRegistryOptions, Check>> = {
  images: expected(isObject, 'images by repository:tag'),
  faults: expected(Array.isArray, 'a list of faults'),
  access: oneOf('token', 'basic'),
  users: texts,
  tls: (value) =>
    isObject(value) ? { cert: expected(isText, 'PEM'), key: expected(isText, 'PEM') } : 'expected { cert, key }',
  serve: expected(isObject, 'an object of options'),
};

function refuse(attempted: string, problems: readonly ConfigProblem[]): void {
  if (problems.length > 0) throw configError(attempted, problems);
}

export function checkTestOptions(options: unknown): void {
  const problems = optionProblems(options, optionChecks, []);
  const { images, faults, ...access } = isObject(options) ? (options as TestRegistryOptions) : {};
  const names = isObject(images) ? Object.keys(images) : [];
  const list: readonly unknown[] = Array.isArray(faults) ? faults : [];
  refuse('make a registry for tests', [
    ...problems,
    ...names.flatMap((name, at) => imageProblems(name, images?.[name], ['images', name], names.slice(0, at))),
    ...list.flatMap((fault, at) => faultProblems(fault, ['faults', at], access)),
  ]);
}

/** One image more, after those that are there. */
export const checkImage = (name: string, image: unknown, earlier: readonly string[]): void =>
  refuse('add an image', imageProblems(name, image, [name], earlier));

/** One fault more, of a registry with this access. */
export const checkFault = (fault: unknown, access: TestAccess): void =>
  refuse('add a fault', faultProblems(fault, [], access));
