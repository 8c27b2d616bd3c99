import { readAll } from '../../body.ts';
import { cannot } from '../../errors.ts';
import { type KeyTable, parseKeySet, type TrustedKey } from './keys.ts';

/** Milliseconds after which a set is fetched again; after which it is for an unknown key; after a failure. */
const lifetime = 600_000;
const unknownPause = 30_000;
const failurePause = 5_000;
/** Milliseconds that a fetch may take, and bytes of a set. */
const timeLimit = 5_000;
const mostBytes = 1_048_576;

/** Finds a key by an id of it; undefined if it is not there. */
export type FindKey = (id: string) => Promise<TrustedKey | undefined>;

/**
 * Keys of a set at a URL. A key that is not in it has the set fetched again, at most each 30 s, so that a new one is known when
 * the first token comes that it signed. What was fetched stays while the server is gone. `UNAVAILABLE` if nothing ever was.
 */
export function keysAt(url: string, now: () => number = () => performance.now()): FindKey {
  let table: KeyTable | undefined;
  let fetched = Number.NEGATIVE_INFINITY;
  let failed = Number.NEGATIVE_INFINITY;
  let failure: unknown;
  let fetching: Promise<void> | undefined;
  const refresh = async (): Promise<void> => {
    try {
      table = await fetchKeySet(url);
      fetched = now();
    } catch (error) {
      failure = error;
      failed = now();
    } finally {
      fetching = undefined;
    }
  };
  const refreshAfter = async (age: number): Promise<void> => {
    if (now() - fetched < age || now() - failed < failurePause) return;
    fetching ??= refresh();
    await fetching;
  };
  return async (id) => {
    await refreshAfter(lifetime);
    if (!table?.has(id)) await refreshAfter(unknownPause);
    if (!table) throw failure;
    return table.get(id);
  };
}

async function fetchKeySet(url: string): Promise<KeyTable> {
  const refuse = (found: string, cause?: unknown) =>
    cannot('UNAVAILABLE', `fetch key set "${url}"`, found, { value: url, cause });
  const response = await fetch(url, {
    redirect: 'error',
    headers: { accept: 'application/jwk-set+json, application/json' },
    signal: AbortSignal.timeout(timeLimit),
  }).catch((cause: unknown) => {
    throw refuse('no response', cause);
  });
  if (!response.ok || !response.body) {
    await response.body?.cancel();
    throw refuse(`status ${response.status}`);
  }
  return parseKeySet(new TextDecoder().decode(await readAll(response.body, mostBytes, 'key set')), url);
}
