import { collectWarnings } from '../content/warnings.ts';
import type { Emit } from '../events.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { parseDigest } from '../oci/digest.ts';
import { quote } from '../oci/quote.ts';
import { formatReference, type Repository } from '../oci/reference.ts';
import type { Lister, Referrers } from '../source.ts';
import { during } from './during.ts';

/** How to list tags. */
export interface TagsOptions {
  readonly signal?: AbortSignal | undefined;
}

/** How to list referrers. */
export interface FetcherReferrersOptions {
  readonly signal?: AbortSignal | undefined;
  /** Only those of this type, the type of their config where they have none of their own. */
  readonly artifactType?: string | undefined;
}

/** What a repository can be asked to list. */
export interface RepositoryLists {
  /**
   * All tags, each once, sorted by code point: of the first host trusted with tags that lists them. `NOT_FOUND` where no
   * host has the repository, `TOO_LARGE` over `limits.pages`.
   */
  tags(options?: TagsOptions): Promise<readonly string[]>;
  /**
   * What refers to a digest, signatures and the like: of the first host trusted with referrers that has a list, by its
   * API or under the tag that stands for it; none where no host has one. `INVALID_DIGEST`.
   */
  referrers(digest: string, options?: FetcherReferrersOptions): Promise<readonly Descriptor[]>;
}

/** What all lists of one client share. */
interface ListsContext {
  readonly emit: Emit;
  /** Fires when the client is closed. */
  readonly closing: AbortSignal;
  /** Milliseconds. */
  readonly operation?: number | undefined;
}

/** The lists of a repository, each asked for within the bounds of the client. */
export function repositoryLists(
  repository: Repository,
  source: Lister & Referrers,
  { closing, operation, emit }: ListsContext,
): RepositoryLists {
  const name = quote(formatReference(repository));
  return {
    tags: ({ signal } = {}) =>
      during(`list the tags of ${name}`, [signal, closing], operation, (call) =>
        source.tags({ ...call, onWarning: collectWarnings(emit).add }),
      ),
    referrers: async (text, { signal, artifactType } = {}) => {
      const digest = parseDigest(text);
      const attempted = `list the referrers of "${digest}" in ${name}`;
      return during(attempted, [signal, closing], operation, (call) =>
        source.referrers(digest, { ...call, artifactType, onWarning: collectWarnings(emit).add }),
      );
    },
  };
}
