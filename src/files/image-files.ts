import { deadline } from '../abort.ts';
import { type Content, manifestBytesOf } from '../content/content.ts';
import { cannot, naming, type RegistryError } from '../errors.ts';
import type { Emit } from '../events.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { parseManifest } from '../oci/manifest.ts';
import { machinePlatform, type Platform } from '../oci/platform.ts';
import type { Reference, Repository } from '../oci/reference.ts';
import { asyncDispose } from '../runtime.ts';
import type { FetchOptions } from '../source.ts';
import { abortSignal, anything, type Checks, checkOptions, flag } from '../text/problems.ts';
import { quote } from '../text/quote.ts';
import { cleanPath, type FileEntry } from './entry.ts';
import { findInTree, findPath, resolvePath } from './find-path.ts';
import { createNearestPath, notAFile, openLocated } from './layer.ts';
import type { LayerFile } from './layer-file.ts';
import { nodeAt, type TreeNode } from './layer-tree.ts';
import { Layers, type LayersLimits } from './layers.ts';
import type { FilesOptions, ReadContext } from './locate.ts';

/** How to open a file of an image. */
export interface OpenImageFileOptions {
  readonly signal?: AbortSignal | undefined;
  /** As `OpenFileOptions.verify`. */
  readonly verify?: boolean | undefined;
}

/**
 * The files of an image, all its layers together as a container sees them. As on overlay file systems, a layer's file whose
 * path goes through a symbolic link of a lower layer is in a directory of its own, which replaces the link. Nothing of a
 * layer is read before it is needed, and no layer twice to learn what is in it. The caller closes it (`await using`), which
 * ends everything that is being read.
 */
export interface ImageFiles extends AsyncDisposable {
  /** The image that was chosen. */
  readonly descriptor: Descriptor;
  /**
   * What is at a path, and everything below it; without a path the whole image. Directories come before what is in them,
   * names in the order of their code units. Symbolic links of the path are followed, others are listed.
   *
   * All layers are read. A layer that is not a readable archive is reported as a warning, and left out from where it cannot
   * be read; its error is thrown if no layer can be read, or if the path is in none of the others. `NOT_FOUND` with the path
   * that comes nearest; `TOO_LARGE` for more than `limits.imageEntries` entries, or `limits.imageTreeBytes` bytes of names.
   */
  list(path?: string, options?: { readonly signal?: AbortSignal | undefined }): AsyncIterable<FileEntry>;
  /**
   * A file. Layers are read from the top down, to the one that has it, and there up to the file. Symbolic links are
   * followed, forty at most, within the image: `/` is its root. Hard links are what they link to, also in lower layers.
   * Errors as those of `openFile`. Of a path that is twice in one layer the last is read if that is known, as after `list`
   * and in layers of up to 256 KiB, and otherwise the first: with `verify` its bytes then end with `BAD_RESPONSE`.
   */
  open(path: string, options?: OpenImageFileOptions): Promise<LayerFile>;
  close(): Promise<void>;
}

/** Which image's files, and how to read them. */
export interface ImageFilesChoice {
  /** Also ends everything that is being read of the files. */
  readonly signal?: AbortSignal | undefined;
  /** Of the image: `linux/arm64/v8`, or as a record. Default: this machine's. */
  readonly platform?: string | Platform | undefined;
  /** As `FilesOptions.unindexed`. */
  readonly unindexed?: boolean | undefined;
}

const listChecks: Checks = { signal: abortSignal };
const openChecks: Checks = { signal: abortSignal, verify: flag };
/** The platform is checked where it is used. */
const choiceChecks: Checks = { signal: abortSignal, platform: anything, unindexed: flag };

/** What `openImage` uses of the client. */
export interface ImageFilesContext {
  /** The image of a reference for a platform; its manifest is fetched next. */
  readonly resolve: (
    reference: Reference,
    options: {
      readonly signal?: AbortSignal | undefined;
      readonly platform: string | Platform;
      readonly content: true;
    },
    label: string,
  ) => Promise<{ readonly descriptor: Descriptor }>;
  readonly fetcherOf: (repository: Repository) => ImageSource;
  readonly emit: Emit;
  readonly manifestBytes: number;
  readonly imageLimits: LayersLimits;
  /** The reference as it was given, for messages. */
  readonly label: string;
}

/** Where the content of an image is read from. */
export interface ImageSource {
  fetch(
    descriptor: Descriptor,
    options: Pick<FetchOptions, 'signal' | 'manifest'> & { readonly reference: string },
  ): Promise<Content>;
}

/** The files of the image that a reference names or, if it names an index, of the image for the platform. */
export async function openImage(
  reference: Reference,
  choice: ImageFilesChoice | undefined,
  { resolve, fetcherOf, emit, manifestBytes, imageLimits, label }: ImageFilesContext,
): Promise<ImageFiles> {
  checkOptions('read the files of an image', choice ?? {}, choiceChecks);
  const { signal, platform = machinePlatform(), unindexed } = choice ?? {};
  const { registry, name } = reference;
  const onWarning = (text: string): void => emit({ type: 'warning', text });
  const { descriptor } = await resolve(reference, { signal, platform, content: true }, label);
  const source = fetcherOf({ registry, name });
  await using manifest = await source.fetch(descriptor, { signal, reference: label });
  const document = parseManifest(await manifestBytesOf(manifest, manifestBytes), descriptor.mediaType);
  const layers = await Promise.all(
    document.layers.map((layer) => source.fetch(layer, { signal, manifest: descriptor.digest, reference: label })),
  );
  return createImageFiles({ descriptor, label, layers, limits: imageLimits, signal, unindexed, onWarning });
}

export interface ImageFilesOptions extends FilesOptions {
  readonly descriptor: Descriptor;
  /** The reference that names the image. Default: its digest. */
  readonly label?: string | undefined;
  /** The lowest first. Closing the files closes them. */
  readonly layers: readonly Content[];
  readonly limits?: LayersLimits | undefined;
}

export const defaultImageLimits: LayersLimits = { entries: 1_000_000, memory: 160 * 1_048_576 };

export function createImageFiles(options: ImageFilesOptions): ImageFiles {
  const { descriptor, layers: contents, limits = defaultImageLimits, onWarning } = options;
  const layers = new Layers(contents, limits, onWarning);
  const closing = new AbortController();
  const { label = descriptor.digest } = options;
  const where = `image ${quote(label)}`;
  const named = (thrown: unknown): unknown => naming(thrown, { verb: 'read the files of', reference: label });
  const missing = (path: string, link?: FileEntry): RegistryError => {
    const attempted = `find ${quote(path)} in ${where}`;
    const details = { value: path, reason: 'path', reference: label } as const;
    // It may be in a layer that cannot be read.
    if (layers.problem) return layers.problem;
    if (link) return cannot('NOT_FOUND', attempted, brokenLink(link, cleanPath(path)), details);
    const nearest = createNearestPath(cleanPath(path));
    for (const entry of listTree(layers.known, [])) nearest.add(entry.path);
    return cannot('NOT_FOUND', attempted, `not there${nearest.hint}`, details);
  };
  const close = async (): Promise<void> => {
    closing.abort(cannot('CLOSED', `read the files of ${where}`, 'they were closed', { reference: label }));
    await Promise.all(contents.map((content) => content.close()));
  };
  async function* list(path = '', how: { readonly signal?: AbortSignal | undefined } = {}) {
    checkOptions(`list ${quote(path)}`, how, listChecks);
    const { signal } = how;
    const limit = deadline(options.signal, signal, closing.signal);
    try {
      limit.signal.throwIfAborted();
      const merged = await layers.merged({ ...options, signal: limit.signal });
      if (!merged) return;
      const target = await resolvePath(path, async (names) => findInTree(merged, names));
      if (target.kind === 'nothing') throw missing(path, target.link);
      yield* listTree(merged, target.kind === 'directory' ? target.names : target.entry.path.split('/'));
    } catch (thrown) {
      throw named(thrown);
    } finally {
      limit.end();
    }
  }
  const open = async (path: string, how: OpenImageFileOptions = {}): Promise<LayerFile> => {
    checkOptions(`open ${quote(path)}`, how, openChecks);
    const { signal, verify } = how;
    const limit = deadline(options.signal, signal, closing.signal);
    const context: ReadContext = { ...options, verify, limit };
    try {
      limit.signal.throwIfAborted();
      const target = await findPath(layers, path, context);
      if (target.kind === 'nothing') throw missing(path, target.link);
      if (target.kind === 'directory')
        throw notAFile({ path: target.names.join('/'), type: 'directory' }, where, label);
      const { entry, found } = target;
      if (!found.located) throw notAFile(entry, where, label);
      return await openLocated({ ...found.located, entry }, context, where);
    } catch (thrown) {
      limit.end();
      throw named(thrown);
    }
  };
  return { descriptor, list, open, close, [asyncDispose]: close };
}

/** Why a path is not there: a symbolic link is, but not what it leads to. */
function brokenLink({ path, linkPath }: FileEntry, wanted: string): string {
  const link = `a symbolic link to ${quote(linkPath)}`;
  return path === wanted ? `it is ${link}, which is not there` : `not there; ${quote(path)} on its way is ${link}`;
}

/** What is at names, and everything below it: directories before what is in them, names in the order of their code units. */
function* listTree(root: TreeNode | undefined, names: readonly string[]): Generator<FileEntry, void, undefined> {
  const first = nodeAt(root, names);
  if (!first) return;
  const path = names.join('/');
  // The root itself is not listed.
  if (path !== '') yield entryAt(first, path);
  // Not by recursion: each entry would pass through as many generators as its path has names.
  const open = [{ path, children: sorted(first) }];
  for (let current = open.at(-1); current; current = open.at(-1)) {
    const { value, done } = current.children.next();
    if (done) {
      open.pop();
      continue;
    }
    const [name, child] = value;
    const childPath = current.path === '' ? name : `${current.path}/${name}`;
    yield entryAt(child, childPath);
    if (child.children) open.push({ path: childPath, children: sorted(child) });
  }
}

const sorted = ({ children }: TreeNode): IterableIterator<[string, TreeNode]> =>
  [...(children ?? [])].sort(([a], [b]) => (a < b ? -1 : 1)).values();

/** A directory that no layer describes is what unpacking creates for what is in it. */
const entryAt = ({ from, index }: TreeNode, path: string): FileEntry =>
  index === undefined
    ? { path, type: 'directory', size: 0, mode: 0o755, uid: 0, gid: 0, modified: new Date(0), layer: from.layer }
    : from.at(index, path);
