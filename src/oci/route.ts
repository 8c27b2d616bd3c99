import { cannot } from '../errors.ts';
import { quote } from '../text/quote.ts';
import { isDigest } from './digest.ts';
import { isRepositoryName, isTag, nameProblem } from './reference.ts';

/**
 * A place in the distribution API. `reference` is a tag or a digest; `parsePath` gives it, and `digest`, as they were
 * sent, so that a server can say what is wrong with them.
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#endpoints
 */
export type Route =
  | { readonly kind: 'base' }
  | { readonly kind: 'catalog' }
  | { readonly kind: 'manifest'; readonly name: string; readonly reference: string }
  | { readonly kind: 'blob'; readonly name: string; readonly digest: string }
  | { readonly kind: 'tags'; readonly name: string }
  | { readonly kind: 'referrers'; readonly name: string; readonly digest: string }
  | { readonly kind: 'uploads'; readonly name: string }
  | { readonly kind: 'upload'; readonly name: string; readonly id: string };

/**
 * The path of a route below an API root that ends in `/v2`. `INVALID_REFERENCE` for a name, tag, digest or id that
 * could lead elsewhere: anything but a repository name, tag or digest never gets into a URL.
 */
export function toPath(route: Route): string {
  if (route.kind === 'base') return '/';
  if (route.kind === 'catalog') return '/_catalog';
  const { name } = route;
  check('repository', name, nameProblem(name) ?? true);
  switch (route.kind) {
    case 'manifest':
      check(
        'reference',
        route.reference,
        isTag(route.reference) || isDigest(route.reference) || 'neither a tag nor a digest',
      );
      return `/${name}/manifests/${route.reference}`;
    case 'blob':
    case 'referrers':
      check('digest', route.digest, isDigest(route.digest) || 'not a digest');
      return `/${name}/${route.kind === 'blob' ? 'blobs' : 'referrers'}/${route.digest}`;
    case 'tags':
      return `/${name}/tags/list`;
    case 'uploads':
      return `/${name}/blobs/uploads/`;
    case 'upload':
      check('upload', route.id, !/^\.{0,2}$/.test(route.id) || 'not an id');
      return `/${name}/blobs/uploads/${encodeURIComponent(route.id)}`;
  }
}

function check(kind: string, value: string, outcome: true | string): void {
  if (outcome === true) return;
  throw cannot('INVALID_REFERENCE', `make a path of ${kind} ${quote(value)}`, outcome);
}

/**
 * Reads a path below an API root, without its query; percent-encoding is taken off. Undefined for anything but a route,
 * and for names that are not repository names.
 */
export function parsePath(path: string): Route | undefined {
  if (path === '/' || path === '') return { kind: 'base' };
  if (path === '/_catalog') return { kind: 'catalog' };
  const segments = decodeSegments(path);
  if (!segments) return undefined;
  if (segments.at(-1) === '' && segments.at(-2) === 'uploads') segments.pop();
  const route = readSegments(segments);
  // An encoded slash would make two components of one.
  return route && isRepositoryName(route.name) && !segments.slice(0, -2).some((part) => part.includes('/'))
    ? route
    : undefined;
}

function decodeSegments(path: string): string[] | undefined {
  if (!path.startsWith('/')) return undefined;
  try {
    return path.slice(1).split('/').map(decodeURIComponent);
  } catch {
    return undefined;
  }
}

/** Read from the end, as `blobs`, `manifests` and `tags` may be components of a name. */
function readSegments(segments: string[]): Extract<Route, { name: string }> | undefined {
  const [third, second, last = ''] = [segments.at(-3), segments.at(-2), segments.at(-1)];
  const name = segments.slice(0, -2).join('/');
  const isPlain = last !== '' && !last.includes('/');
  if (second === 'manifests' && isPlain) return { kind: 'manifest', name, reference: last };
  if (second === 'referrers' && isPlain) return { kind: 'referrers', name, digest: last };
  if (second === 'tags' && last === 'list') return { kind: 'tags', name };
  if (second === 'blobs' && last === 'uploads') return { kind: 'uploads', name };
  if (second === 'blobs' && isPlain) return { kind: 'blob', name, digest: last };
  if (third === 'blobs' && second === 'uploads' && !/^\.{0,2}$/.test(last)) {
    return { kind: 'upload', name: segments.slice(0, -3).join('/'), id: last };
  }
  return undefined;
}
