import { cannot, type RegistryError } from '../errors.ts';
import { legible, quote } from '../text/quote.ts';
import { type Digest, digestProblem, isDigest } from './digest.ts';
import { hostProblem } from './registry.ts';

export { apiOrigin, isLoopbackHost, normalizeRegistry, sameRegistry } from './registry.ts';

/** A registry (`host[:port]`, as references name it) and a repository name in it. */
export interface Repository {
  readonly registry: string;
  readonly name: string;
}

/** A repository, and which of its manifests. Where both are there, the digest decides. */
export interface Reference extends Repository {
  readonly tag?: string | undefined;
  readonly digest?: Digest | undefined;
}

const defaultTag = 'latest';
const longestName = 255;
const component = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$/;
const tagGrammar = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

/** Whether it is a repository name: lower-case components between slashes, at most 255 characters. */
export const isRepositoryName = (name: string): boolean => nameProblem(name) === undefined;

/** Whether it is a tag: 1 to 128 letters, digits, `_`, `.`, `-`, the first neither `.` nor `-`. */
export const isTag = (tag: string): boolean => tagGrammar.test(tag);

/**
 * Reads a reference as Docker does: `alpine` is `docker.io/library/alpine:latest`. The first component is the registry
 * if it has a dot, a colon or an upper-case letter, or is `localhost`; its case is kept. `index.docker.io` is
 * `docker.io`. The tag `latest` is added if there is neither tag nor digest.
 *
 * `INVALID_REFERENCE` for everything else, naming the part.
 * https://github.com/distribution/reference is the grammar; beyond it, a host must be one that a URL can have, and
 * `localhost:5000` without a name is refused, which Docker reads as the tag 5000 of `library/localhost`.
 */
export function parseReference(text: string): Reference {
  const { problem, ...parsed } = read(text);
  if (problem !== undefined) throw invalid('reference', text, problem);
  const { registry, name, tag, digest } = parsed;
  if (tag === undefined && digest === undefined) return { registry, name, tag: defaultTag };
  return { registry, name, ...(tag !== undefined && { tag }), ...(digest !== undefined && { digest }) };
}

/** Reads a repository, `docker.io/library/alpine`, as `parseReference` does; a tag or digest is `INVALID_REFERENCE`. */
export function parseRepository(text: string): Repository {
  const { problem, registry, name, tag, digest } = read(text);
  if (problem !== undefined) throw invalid('repository', text, problem);
  if (tag !== undefined) throw invalid('repository', text, `tag ${quote(tag)} where only a repository is expected`);
  if (digest !== undefined) {
    throw invalid('repository', text, `digest ${quote(digest)} where only a repository is expected`);
  }
  return { registry, name };
}

/** Writes a reference in full, `registry/name:tag@digest`; `parseReference` reads the same back. */
export function formatReference({ registry, name, tag, digest }: Reference): string {
  return `${registry}/${name}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

interface Parts extends Reference {
  readonly problem?: string | undefined;
}

function read(text: unknown): Parts {
  const empty = { registry: '', name: '' };
  if (typeof text !== 'string') return { ...empty, problem: 'not a string' };
  const problem = textProblem(text);
  if (problem !== undefined) return { ...empty, problem: schemeProblem(text) ?? problem };
  const parts = split(text);
  return parts.problem === undefined ? parts : { ...parts, problem: schemeProblem(text) ?? parts.problem };
}

function split(text: string): Parts {
  const at = text.indexOf('@');
  const digest = at === -1 ? undefined : text.slice(at + 1);
  const [registry, rest] = splitRegistry(at === -1 ? text : text.slice(0, at));
  const colon = rest.indexOf(':');
  const name = withLibrary(registry, colon === -1 ? rest : rest.slice(0, colon));
  const tag = colon === -1 ? undefined : rest.slice(colon + 1);
  return { registry, name, tag, digest: digest as Digest, problem: partsProblem(registry, name, tag, digest) };
}

/** What other tools write before a reference: URLs, Helm's `oci://`, and the transports of skopeo and Podman. */
const scheme =
  /^(?:[A-Za-z][A-Za-z-]*:\/\/|(?:oci|oci-archive|docker|docker-archive|docker-daemon|dir|containers-storage):)/;

/** What is wrong with a text that is a reference after a scheme. A `docker:dind` without a problem is a reference itself. */
function schemeProblem(text: string): string | undefined {
  const [before] = scheme.exec(text) ?? [];
  if (before === undefined) return undefined;
  const rest = text.slice(before.length);
  const isReference = textProblem(rest) === undefined && split(rest).problem === undefined;
  const what = before.endsWith('//')
    ? `a URL where a reference is expected`
    : `${quote(before)} is not part of a reference`;
  if (isReference) return `${what}: write ${quote(rest)}`;
  return before.endsWith('//') ? undefined : `${what}, and what follows is none`;
}

function textProblem(text: string): string | undefined {
  if (text === '') return 'it is empty';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
  if (/[\u0000-\u0020\u007f]/.test(text)) return 'white space or a control character';
  if (text.includes('://')) return 'a URL where a reference is expected, without a scheme';
  if (/^[0-9a-f]{64}$/.test(text)) return '64 hex characters, which name a content and no repository';
  if (/^localhost(?::\d+)?(?:@|$)/.test(text)) return `registry ${quote(text.split('@')[0])} without a repository`;
  return undefined;
}

function splitRegistry(text: string): [registry: string, rest: string] {
  const slash = text.indexOf('/');
  const first = slash === -1 ? '' : text.slice(0, slash);
  if (first === '' && slash !== 0) return ['docker.io', text];
  if (/^(?:index\.)?docker\.io$/i.test(first)) return ['docker.io', text.slice(slash + 1)];
  // Docker also takes a first part with capitals for a host; here `Foo/bar` is a path that is wrong, not a host "Foo".
  if (/^localhost$/i.test(first) || /[.:[\]]/.test(first)) return [first, text.slice(slash + 1)];
  return ['docker.io', text];
}

/** Docker Hub's official images live under `library/`. */
function withLibrary(registry: string, name: string): string {
  return registry === 'docker.io' && name !== '' && !name.includes('/') ? `library/${name}` : name;
}

function partsProblem(registry: string, name: string, tag?: string, digest?: string): string | undefined {
  const host = hostProblem(registry);
  if (host !== undefined) return `registry ${quote(registry)}: ${host}`;
  const problem = nameProblem(name);
  if (problem !== undefined) return problem;
  if (tag === '') return 'empty tag';
  if (tag !== undefined && !isTag(tag)) return tagProblem(tag);
  if (digest === '') return 'empty digest';
  const wrong = digest === undefined ? undefined : digestProblem(digest);
  return wrong === undefined ? undefined : `digest ${quote(digest)}: ${wrong}`;
}

function tagProblem(tag: string): string {
  if (tag.length > 128) return `tag of ${tag.length} characters, at most 128 are allowed`;
  return `tag ${quote(tag)} is not made of letters, digits, "_", "." and "-", or begins with "." or "-"`;
}

/** What is wrong with a repository name, in words; undefined if nothing is. */
export function nameProblem(name: string): string | undefined {
  if (name === '') return 'no repository name';
  if (name.length > longestName) return `repository name of ${name.length} characters, at most 255 are allowed`;
  for (const part of name.split('/')) {
    if (part === '') return 'empty path component';
    if (component.test(part)) continue;
    if (/[A-Z]/.test(part)) return `path component ${quote(part)} has upper-case letters`;
    return `path component ${quote(part)} is not made of a-z and 0-9 with single separators ".", "_", "__" or "-" between`;
  }
  return undefined;
}

function invalid(kind: string, text: unknown, problem: string): RegistryError {
  return cannot('INVALID_REFERENCE', `parse ${kind} ${quote(text)}`, problem);
}

/** https://github.com/opencontainers/image-spec/blob/v1.1.0/annotations.md: `ref` */
const contentNamePart = '[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*';
const nameGrammar = new RegExp(`^${contentNamePart}(?:/${contentNamePart})*$`);
const longestContentName = 1024;

/** Refuses what is not a name: `INVALID_REFERENCE`. Tags of registries are names, and what the image specification allows. */
export function checkName(name: string): void {
  const problem =
    typeof name !== 'string'
      ? 'not a text'
      : isDigest(name)
        ? 'a digest'
        : name.length > longestContentName
          ? `more than ${longestContentName} characters`
          : isTag(name) || nameGrammar.test(name)
            ? undefined
            : 'letters and digits, with one of -._:@/+ between them, are expected';
  if (problem !== undefined)
    throw cannot('INVALID_REFERENCE', `use name ${quote(name)}`, problem, {
      reason: 'invalid-name',
      value: typeof name === 'string' ? legible(name) : undefined,
    });
}
