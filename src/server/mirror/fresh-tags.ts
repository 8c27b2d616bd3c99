import { singleFlight } from '../../abort.ts';
import { stale } from '../../cached/tags.ts';
import { asRegistryError, type ErrorCode, messageOf, type RegistryError } from '../../errors.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { Digest } from '../../oci/digest.ts';
import type { CallOptions, Source, Validator } from '../../source.ts';
import type { RepositoryTags, TagState } from './tag-records.ts';

/** What the tags of one repository of a mirror stand on. */
export interface FreshTagsOptions {
  readonly upstream: Source;
  readonly records: RepositoryTags;
  /** Milliseconds for which a tag is not asked for again. */
  readonly fresh: number;
  /** Whether content is kept. */
  isKept(digest: Digest): Promise<boolean>;
  /** How a tag was resolved. */
  onResolved(tag: string, outcome: 'fresh' | 'unchanged' | 'stale' | 'upstream', error?: RegistryError): void;
  /** The records could not be written; the next process will not know what this one does. */
  onFailure(error: unknown): void;
}

/** Errors that are the registry's word on a tag, or the end of a request: what was kept does not replace them. */
export const final: ReadonlySet<ErrorCode> = new Set(['NOT_FOUND', 'UNAUTHORIZED', 'DENIED', 'ABORTED']);

interface ResolvedTag {
  readonly descriptor: Descriptor;
  readonly warnings: readonly Parameters<NonNullable<CallOptions['onWarning']>>[];
}

/**
 * Resolves tags of one repository. What upstream said counts for a time; then it is asked on the condition that something has
 * changed, once for all who ask at that time. If it cannot be reached, the tag is what it was as far as its content is kept,
 * with a warning; the wait is short then. A tag that upstream no longer has is forgotten.
 */
export function freshTags(options: FreshTagsOptions): Source['resolve'] {
  const { upstream, records, fresh, isKept, onResolved, onFailure } = options;
  const flights = singleFlight<ResolvedTag>();
  const write = (tag: string, states: readonly TagState[]): Promise<void> =>
    records.write(tag, states).catch(onFailure);

  const ask = async (tag: string, known: TagState | undefined, call: CallOptions): Promise<ResolvedTag> => {
    const warnings: Parameters<NonNullable<CallOptions['onWarning']>>[] = [];
    let validator: Validator | undefined;
    try {
      const descriptor = await upstream.resolve(tag, {
        ...call,
        more: known !== undefined,
        known: known?.validator && { descriptor: known.descriptor, validator: known.validator },
        onValidator: (found) => {
          validator = found;
        },
        onWarning: (...warning) => warnings.push(warning),
      });
      const isChanged = descriptor.digest !== known?.descriptor.digest;
      await write(tag, [{ descriptor, validator, checked: Date.now() }, ...(isChanged && known ? [known] : [])]);
      onResolved(tag, isChanged ? 'upstream' : 'unchanged');
      return { descriptor, warnings };
    } catch (thrown) {
      const error = asRegistryError(thrown, 'UNAVAILABLE', `resolve "${tag}"`);
      if (error.code === 'NOT_FOUND') await write(tag, []);
      if (!known || final.has(error.code)) throw error;
      onResolved(tag, 'stale', error);
      const text = `"${tag}" is as it was when it was kept: ${messageOf(error)}`;
      return { descriptor: known.descriptor, warnings: [[text, known.validator?.from ?? 'mirror', stale]] };
    }
  };

  return async (tag, { content = false, signal, onWarning } = {}) => {
    const states = await records.read(tag);
    const [newest] = states;
    const kept = await firstKept(states, isKept);
    const age = newest ? Date.now() - newest.checked : Number.POSITIVE_INFINITY;
    if (newest && age >= 0 && age < fresh && (!content || newest === kept)) {
      onResolved(tag, 'fresh');
      return newest.descriptor;
    }
    const key = `${content ? 'GET' : 'HEAD'} ${tag}`;
    const { descriptor, warnings } = await flights(key, signal, (ended) => ask(tag, kept, { content, signal: ended }));
    for (const warning of warnings) onWarning?.(...warning);
    return descriptor;
  };
}

async function firstKept(
  states: readonly TagState[],
  isKept: FreshTagsOptions['isKept'],
): Promise<TagState | undefined> {
  for (const state of states) if (await isKept(state.descriptor.digest)) return state;
  return undefined;
}
