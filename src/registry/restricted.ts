import { cannot, RegistryError } from '../errors.ts';
import { formatReference } from '../oci/reference.ts';
import { isStore, type Registry, type Source } from '../source.ts';
import { inTurn } from '../store/lock.ts';
import { ableSource, changedSource, type MadeRegistry, madeOf, remade, type SourceChanges } from './changed.ts';

/** A registry that can only be read and listed, whatever the other one can do. */
export const readOnly = (registry: Registry): MadeRegistry => remade(registry, readable);

/** What can be read of a source, and listed. */
function readable(source: Source): Source {
  const { name, repository, verifies, manifestBytes, resolve, fetch, open, tags, referrers, locate } =
    ableSource(source);
  const lists = { ...(tags && { tags }), ...(referrers && { referrers }) };
  const places = { ...(open && { open }), ...(locate && { locate }) };
  return madeOf({ name, repository, verifies, manifestBytes, resolve, fetch, ...lists, ...places }, source);
}

/** Registries with fixed tags, so that each has its own. */
let made = 0;

/**
 * A registry whose tags cannot be moved, and like the content that they name cannot be removed: `DENIED`. The same content may
 * be given the same tag again. Of those who give one tag at the same time in one process the first wins.
 */
export const immutable = (registry: Registry): MadeRegistry => {
  made += 1;
  const own = `fixed tags ${made}`;
  return remade(registry, (source, repository) =>
    isStore(source) ? withFixedTags(source, `${own} ${formatReference(repository)}`) : source,
  );
};

const withFixedTags = (source: Source, key: string): Source =>
  changedSource(source, ({ resolve, tag, tags, untag, remove }): SourceChanges => {
    const refuse = (attempted: string, value: string): never => {
      throw cannot('DENIED', attempted, 'tags are immutable here', { value });
    };
    return {
      tag:
        tag &&
        ((target, name, options = {}) =>
          inTurn(`${key}:${name}`, options, async () => {
            const known = await resolve(name, options).catch((error: unknown) => {
              if (error instanceof RegistryError && error.code === 'NOT_FOUND') return undefined;
              throw error;
            });
            if (known && known.digest !== target.digest) refuse(`move tag "${name}"`, name);
            await tag(target, name, options);
          })),
      untag: untag && (async (name) => refuse(`remove tag "${name}"`, name)),
      remove:
        remove &&
        (async (digest, options) => {
          for (const name of (await tags?.(options)) ?? []) {
            if ((await resolve(name, options)).digest === digest)
              refuse(`remove "${digest}", which tag "${name}" names`, digest);
          }
          await remove(digest, options);
        }),
    };
  });
