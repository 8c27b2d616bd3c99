import { createBody } from '../body.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Range } from '../oci/range.ts';
import type { Repository } from '../oci/reference.ts';
import { type Chunks, type Fetched, isCatalog, type Registry, type Source, type Upload } from '../source.ts';
import {
  type AbleSource,
  changedSource,
  type MadeRegistry,
  remade,
  type SourceChanges,
  withRepositories,
} from './changed.ts';

/** One operation of a registry, when it has ended. */
export interface RegistryOperation {
  readonly operation:
    | 'resolve'
    | 'fetch'
    | 'push'
    | 'tag'
    | 'keep'
    | 'untag'
    | 'remove'
    | 'mount'
    | 'begin-upload'
    | 'find-upload'
    | 'append'
    | 'commit'
    | 'cancel'
    | 'tags'
    | 'referrers'
    | 'locate'
    | 'repositories';
  /** Undefined for `repositories`. */
  readonly repository?: Repository | undefined;
  /** The tag, digest or upload. */
  readonly reference?: string | undefined;
  readonly descriptor?: Descriptor | undefined;
  readonly range?: Range | undefined;
  /** Bytes that were read of a body, or written. */
  readonly bytes?: number | undefined;
  /** Milliseconds until it had succeeded or failed; of `fetch`, until its body ended. */
  readonly duration: number;
  /** Why it failed; of `fetch`, also why its body broke or was not read to its end. */
  readonly error?: unknown;
}

/** Called with each operation when it has ended. What it throws or rejects with is ignored. */
export type RegistryObserver = (operation: RegistryOperation) => unknown;

/** A registry whose operations are reported. The observer gets copies, so that it cannot change a result. */
export function observed(registry: Registry, observer: RegistryObserver): MadeRegistry {
  const made = remade(registry, (source, repository) => withObserver(source, createReports(observer, repository)));
  const { run } = createReports(observer, undefined);
  return withRepositories(
    made,
    [registry],
    isCatalog(registry) && ((options) => run({ operation: 'repositories' }, () => registry.repositories(options))),
  );
}

type Known = Omit<RegistryOperation, 'repository' | 'duration'>;

/** Reports the operations of one repository. */
interface Reports {
  report(known: Known, started: number): void;
  /** Reports the outcome of a work, with what `more` says of its result. */
  run<Result>(known: Known, work: () => Promise<Result>, more?: (result: Result) => Partial<Known>): Promise<Result>;
}

function createReports(observer: RegistryObserver, repository: Repository | undefined): Reports {
  const report: Reports['report'] = ({ descriptor, range, ...known }, started) => {
    const duration = performance.now() - started;
    const copies = { repository: copyOf(repository), descriptor: copyOf(descriptor), range: copyOf(range), duration };
    Promise.resolve({ ...known, ...copies })
      .then(observer)
      .catch(() => {});
  };
  return {
    report,
    run: async (known, work, more = () => ({})) => {
      const started = performance.now();
      try {
        const result = await work();
        report({ ...known, ...more(result) }, started);
        return result;
      } catch (error) {
        report({ ...known, error }, started);
        throw error;
      }
    },
  };
}

const withObserver = (source: Source, reports: Reports): AbleSource =>
  changedSource(source, (able): SourceChanges => {
    const { run } = reports;
    const { resolve, open, tags, referrers, locate } = able;
    const describe = (descriptor: Descriptor): Partial<Known> => ({ descriptor });
    return {
      resolve: (reference, options) =>
        run({ operation: 'resolve', reference }, () => resolve(reference, options), describe),
      fetch: (descriptor, options) => {
        const known = { reference: descriptor.digest, descriptor, range: options?.range };
        return observeFetch(reports, known, () => able.fetch(descriptor, options));
      },
      open: open && ((reference, options) => observeFetch(reports, { reference }, () => open(reference, options))),
      tags: tags && ((options) => run({ operation: 'tags' }, () => tags(options))),
      referrers:
        referrers &&
        ((digest, options) => run({ operation: 'referrers', reference: digest }, () => referrers(digest, options))),
      locate:
        locate &&
        ((descriptor, options) =>
          run({ operation: 'locate', reference: descriptor.digest, descriptor }, () => locate(descriptor, options))),
      ...observeWrites(able, reports),
    };
  });

async function observeFetch(
  { report }: Reports,
  about: Omit<Known, 'operation'>,
  open: () => Promise<Fetched>,
): Promise<Fetched> {
  const started = performance.now();
  const known = { ...about, operation: 'fetch' } as const;
  try {
    const fetched = await open();
    const chunks = fetched.body[Symbol.asyncIterator]();
    const next = async () => (await chunks.next()).value ?? undefined;
    const { body, ended } = createBody({ next, cancel: (reason) => fetched.body.cancel(reason) });
    void ended.then(({ bytes, error }) => report({ ...known, descriptor: fetched.descriptor, bytes, error }, started));
    return { ...fetched, body };
  } catch (error) {
    report({ ...known, error }, started);
    throw error;
  }
}

function observeWrites(able: AbleSource, { run }: Reports): SourceChanges {
  const { push, pushFrom, tag, keep, untag, remove, mount, beginUpload, findUpload } = able;
  const of = (operation: Known['operation'], descriptor: Descriptor, reference: string = descriptor.digest): Known => ({
    operation,
    reference,
    descriptor,
  });
  const upload = (found: Upload): Upload => observeUpload(found, run);
  const idOf = ({ id }: Upload): Partial<Known> => ({ reference: id });
  return {
    push:
      push &&
      ((target, body, options) => {
        const counted = count(body);
        return run(of('push', target), () => push(target, counted.chunks, options), counted.bytes);
      }),
    pushFrom: pushFrom && ((target, open, options) => run(of('push', target), () => pushFrom(target, open, options))),
    tag: tag && ((target, name, options) => run(of('tag', target, name), () => tag(target, name, options))),
    keep: keep && ((target, options) => run(of('keep', target), () => keep(target, options))),
    untag: untag && ((name, options) => run({ operation: 'untag', reference: name }, () => untag(name, options))),
    remove:
      remove && ((digest, options) => run({ operation: 'remove', reference: digest }, () => remove(digest, options))),
    mount:
      mount &&
      ((digest, from, options) => run({ operation: 'mount', reference: digest }, () => mount(digest, from, options))),
    beginUpload:
      beginUpload &&
      (async (limits) => upload(await run({ operation: 'begin-upload' }, () => beginUpload(limits), idOf))),
    findUpload:
      findUpload &&
      (async (id, limits) =>
        upload(await run({ operation: 'find-upload', reference: id }, () => findUpload(id, limits)))),
  };
}

function observeUpload(upload: Upload, run: Reports['run']): Upload {
  const { id } = upload;
  return {
    id,
    get size() {
      return upload.size;
    },
    get minimumChunk() {
      return upload.minimumChunk;
    },
    append: (body, options) => {
      const { chunks, bytes } = count(body);
      return run({ operation: 'append', reference: id }, () => upload.append(chunks, options), bytes);
    },
    commit: (digest, options) => run({ operation: 'commit', reference: digest }, () => upload.commit(digest, options)),
    cancel: () => run({ operation: 'cancel', reference: id }, () => upload.cancel()),
  };
}

/** Chunks, and how many bytes of them were read. */
function count(body: Chunks): { readonly chunks: Chunks; readonly bytes: () => { readonly bytes: number } } {
  let bytes = 0;
  const iterate = (): AsyncIterator<Uint8Array> => {
    const iterator = body[Symbol.asyncIterator]();
    return {
      next: async () => {
        const result = await iterator.next();
        if (!result.done) bytes += result.value.length;
        return result;
      },
      return: async () => {
        await iterator.return?.();
        return { done: true, value: undefined };
      },
    };
  };
  return { chunks: { [Symbol.asyncIterator]: iterate }, bytes: () => ({ bytes }) };
}

/** A copy of plain data, with all that is in it. */
function copyOf<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(copyOf) as Value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, copyOf(each)])) as Value;
}
