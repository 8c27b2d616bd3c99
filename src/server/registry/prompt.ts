import { isDigest } from '../../oci/digest.ts';
import { kindOf } from '../../oci/manifest.ts';
import { isRepositoryName, isTag } from '../../oci/reference.ts';
import { canLocate, type Registry } from '../../source.ts';
import { type SmallContent, smallOf } from '../../store/reading/small.ts';
import type { PlainRequest, Prompt, Promptly } from '../direct.ts';
import { contentHeaders } from './content.ts';
import { octets } from './exchange.ts';
import type { ServeOptions } from './serve-options.ts';

/** What a plain request is for. */
interface Wanted {
  readonly kind: 'manifests' | 'blobs';
  readonly name: string;
  /** A digest, or of a manifest a tag. */
  readonly reference: string;
}

/**
 * Responds to requests for a whole manifest or blob that its store can give at once, as `serve` does, but without a request and a
 * response of the web standard, which cost several times as much as all else. Undefined for every other request: what is
 * wrong with it is said there. Undefined also for options that need more.
 */
export function promptReads(registry: Registry, options: ServeOptions): Promptly | undefined {
  const { registry: host = 'localhost', links = false, locate, tagDigests = true, onEvent } = options;
  if (locate || onEvent || !tagDigests) return undefined;
  return (request) => {
    const wanted = wantedBy(request);
    if (!wanted) return undefined;
    try {
      const source = registry({ registry: host, name: wanted.name });
      const give = canLocate(source) ? undefined : smallOf(source);
      const found = give?.(wanted.reference, { links, kind: wanted.kind });
      if (!found) return undefined;
      if ('bytes' in found) return promptOf(request, wanted, found);
      return found.then(
        (small) => small && promptOf(request, wanted, small),
        () => undefined,
      );
    } catch {
      return undefined;
    }
  };
}

/** A `Host` that every parser takes for one. */
const plainHost = /^[a-z0-9.-]{1,255}(?::(?:[1-5]?\d{1,4}|6[0-4]\d{3}))?$/i;
/** Headers that ask for something else than the whole content, or announce a body. */
const others = ['range', 'if-none-match', 'content-length', 'transfer-encoding'] as const;

function wantedBy({ method, url = '', headers }: PlainRequest): Wanted | undefined {
  if ((method !== 'GET' && method !== 'HEAD') || !url.startsWith('/v2/')) return undefined;
  if (others.some((name) => headers[name] !== undefined) || !plainHost.test(String(headers.host))) return undefined;
  const end = url.lastIndexOf('/');
  const middle = url.lastIndexOf('/', end - 1);
  const [name, kind, reference] = [url.slice('/v2/'.length, middle), url.slice(middle + 1, end), url.slice(end + 1)];
  if (kind !== 'manifests' && kind !== 'blobs') return undefined;
  if (!isRepositoryName(name) || !(isDigest(reference) || (kind === 'manifests' && isTag(reference)))) return undefined;
  return { kind, name, reference };
}

function promptOf({ method }: PlainRequest, { kind, reference }: Wanted, small: SmallContent): Prompt | undefined {
  const { descriptor, bytes } = small;
  const { mediaType } = descriptor;
  if (kind === 'manifests' && kindOf(mediaType) !== kind && isDigest(reference)) return undefined;
  const headers = contentHeaders(descriptor, kind === 'manifests' ? mediaType : octets);
  const length = { 'content-length': String(bytes.length), 'docker-distribution-api-version': 'registry/2.0' };
  return { head: Object.entries({ ...headers, ...length }).flat(), bytes: method === 'HEAD' ? undefined : bytes };
}
