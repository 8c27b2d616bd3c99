import { type Descriptor, problemOf, statedDescriptor } from '../oci/descriptor.ts';
import { mediaTypes } from '../oci/manifest.ts';

/** The text of `index.json` as a value: unknown fields stay as they are. */
export interface LayoutIndex {
  readonly document: Readonly<Record<string, unknown>>;
  readonly entries: readonly IndexEntry[];
}

/** One descriptor of `index.json`. */
export interface IndexEntry {
  readonly raw: unknown;
  /** Undefined if it is invalid; `problem` says why. */
  readonly descriptor: Descriptor | undefined;
  readonly problem?: string | undefined;
}

/** https://github.com/opencontainers/image-spec/blob/v1.1.0/annotations.md#pre-defined-annotation-keys */
const nameKey = 'org.opencontainers.image.ref.name';
/** The whole reference, which containerd and buildkit write beside the tag in `nameKey`. */
const wholeNameKey = 'io.containerd.image.name';

/** An index without entries, as the specification has it. */
export const emptyIndex: LayoutIndex = {
  document: { schemaVersion: 2, mediaType: mediaTypes.ociIndex },
  entries: [],
};

export function entryOf(raw: unknown): IndexEntry {
  const descriptor = statedDescriptor(raw, []);
  const problem = problemOf(descriptor)?.found;
  return problem === undefined ? { raw, descriptor } : { raw, descriptor: undefined, problem };
}

export const toDocument = ({ document, entries }: LayoutIndex): Readonly<Record<string, unknown>> => ({
  ...document,
  manifests: entries.map(({ raw }) => raw),
});

function annotation({ raw }: IndexEntry, key: string): string | undefined {
  const { annotations } = (raw ?? {}) as Record<string, unknown>;
  if (typeof annotations !== 'object' || annotations === null) return undefined;
  const value = (annotations as Record<string, unknown>)[key];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

export const nameOf = (entry: IndexEntry): string | undefined => annotation(entry, nameKey);

/**
 * The entry of a name: that of the annotation of the specification, then containerd's. `latest`, which is what
 * no name means, is also the only entry of a layout if that has no name, as crane writes it and skopeo reads it.
 */
export function findName(index: LayoutIndex, name: string): IndexEntry | undefined {
  const [first] = index.entries;
  const isOnly = name === 'latest' && index.entries.length === 1 && first && nameOf(first) === undefined;
  const { names, wholeNames } = tableOf(index);
  return names.get(name) ?? wholeNames.get(name) ?? (isOnly ? first : undefined);
}

export const findDigest = (index: LayoutIndex, digest: string): IndexEntry | undefined =>
  tableOf(index).digests.get(digest);

/** The entries of an index, the first one of each name and digest. */
interface EntryTable {
  readonly names: ReadonlyMap<string | undefined, IndexEntry>;
  readonly wholeNames: ReadonlyMap<string | undefined, IndexEntry>;
  readonly digests: ReadonlyMap<string | undefined, IndexEntry>;
}

/** Made when it is first needed: a server reads one index many times. */
const tables = new WeakMap<LayoutIndex, EntryTable>();

function tableOf(index: LayoutIndex): EntryTable {
  const known = tables.get(index);
  if (known) return known;
  const firstBy = (keyOf: (entry: IndexEntry) => string | undefined) =>
    new Map(index.entries.toReversed().map((entry) => [keyOf(entry), entry]));
  const table: EntryTable = {
    names: firstBy(nameOf),
    wholeNames: firstBy((entry) => annotation(entry, wholeNameKey)),
    digests: firstBy(({ descriptor }) => descriptor?.digest),
  };
  tables.set(index, table);
  return table;
}

/** What an entry says about its content, without its names: those belong to the layout. */
export function plainDescriptor(descriptor: Descriptor): Descriptor {
  const { [nameKey]: _name, [wholeNameKey]: _whole, ...annotations } = descriptor.annotations ?? {};
  const { annotations: _annotations, ...rest } = descriptor;
  return Object.keys(annotations).length === 0 ? rest : { ...rest, annotations };
}

/** The entries, with the size of `target` in all that have its digest. */
const sized = (entries: readonly IndexEntry[], { digest, size }: Descriptor): readonly IndexEntry[] =>
  entries.some(({ descriptor }) => descriptor?.digest === digest && descriptor.size !== size)
    ? entries.map((entry) =>
        entry.descriptor?.digest === digest ? entryOf({ ...(entry.raw as object), size }) : entry,
      )
    : entries;

/** The index in which `name` stands for `target`, and for nothing else. Undefined if it does already. */
export function withName(index: LayoutIndex, target: Descriptor, name: string): LayoutIndex | undefined {
  const entries = sized(index.entries, target);
  const had = entries.findIndex((entry) => nameOf(entry) === name);
  if (had !== -1 && entries[had]?.descriptor?.digest === target.digest) {
    return entries === index.entries ? undefined : { ...index, entries };
  }
  const unnamed = entries.findIndex(
    (entry) => entry.descriptor?.digest === target.digest && nameOf(entry) === undefined,
  );
  const base: Record<string, unknown> = unnamed === -1 ? describe(target) : { ...(entries[unnamed]?.raw as object) };
  const annotations = { ...(base.annotations as Record<string, string> | undefined), [nameKey]: name };
  const entry = entryOf({ ...base, annotations });
  const place = unnamed !== -1 ? unnamed : had;
  const placed = place === -1 ? [...entries, entry] : entries.map((one, at) => (at === place ? entry : one));
  return { ...index, entries: placed.filter((one, at) => at === place || one === entry || at !== had) };
}

/** The index that has an entry for `target`, with or without a name. Undefined if it has one already. */
export function withKept(index: LayoutIndex, target: Descriptor): LayoutIndex | undefined {
  const entries = sized(index.entries, target);
  if (entries !== index.entries) return { ...index, entries };
  return findDigest(index, target.digest) ? undefined : { ...index, entries: [...entries, entryOf(describe(target))] };
}

/** The index without the entries of a name. Undefined if it has none. */
export function withoutName(index: LayoutIndex, name: string): LayoutIndex | undefined {
  const entries = index.entries.filter((entry) => nameOf(entry) !== name);
  return entries.length === index.entries.length ? undefined : { ...index, entries };
}

/** The index without the entries of a content. Undefined if it has none. */
export function withoutDigest(index: LayoutIndex, digest: string): LayoutIndex | undefined {
  const entries = index.entries.filter(({ descriptor }) => descriptor?.digest !== digest);
  return entries.length === index.entries.length ? undefined : { ...index, entries };
}

/** All names of a content. */
export const namesOf = ({ entries }: LayoutIndex, digest: string): readonly string[] =>
  entries.filter(({ descriptor }) => descriptor?.digest === digest).flatMap((entry) => nameOf(entry) ?? []);

/** What `index.json` says about a content: everything except its bytes (`data`) and other places (`urls`). */
function describe(target: Descriptor): Record<string, unknown> {
  const { mediaType, digest, size, platform, artifactType, annotations } = plainDescriptor(target);
  return {
    mediaType,
    digest,
    size,
    ...(annotations && { annotations }),
    ...(platform && { platform }),
    ...(artifactType !== undefined && { artifactType }),
  };
}
