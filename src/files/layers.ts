import type { Content } from '../content/content.ts';
import { cannot, messageOf, RegistryError } from '../errors.ts';
import { quote } from '../text/quote.ts';
import type { BareEntry } from './entry.ts';
import { entriesOf } from './layer.ts';
import { checkLayerType, damagedLayer, isArchiveType, keepBytes } from './layer-bytes.ts';
import type { TakeMemory } from './layer-entries.ts';
import { createLayerTree, type LayerTree, type LayerTreeBuilder, overlay, type TreeNode } from './layer-tree.ts';
import { type FilesOptions, type LocateContext, type Located, locate, locateAt, tableOf } from './locate.ts';

/** What is known of a layer after a path was looked for in it. */
export interface LayerView {
  /** Everything in the layer, or only up to the path if the layer was read up to it. */
  readonly tree: LayerTree;
  /** The path, if the layer was read up to it. The caller reads or releases it. */
  readonly located?: Located | undefined;
  /** Reads on from there to another path. */
  readonly viewNext?: ((path: string) => Promise<LayerView>) | undefined;
}

/** Bounds of what is kept of the layers of an image. */
export interface LayersLimits {
  /** Entries of all layers together. */
  readonly entries: number;
  /** Bytes of memory, estimated. */
  readonly memory: number;
  /**
   * Bytes of a small layer: it is read to its end before any of it is used, so that a path that it has twice is the last.
   * Default: 256 KiB, which arrive at once in any case.
   */
  readonly small?: number | undefined;
}

/** Most bytes of small layers that are kept. */
const mostKept = 16 * 1_048_576;

/** The layers of an image, the lowest first, and what is known of them. */
export class Layers {
  readonly contents: readonly Content[];
  readonly #limits: LayersLimits;
  readonly #onWarning: FilesOptions['onWarning'];
  readonly #trees = new Map<Content, LayerTree>();
  /** Layers of which the rest, or all, cannot be read, each with the reason. */
  readonly #odd = new Map<Content, RegistryError>();
  #merged: TreeNode | undefined;
  /** Of the trees. */
  #used = { entries: 0, memory: 0 };
  /** Bytes of the small layers. */
  #keptBytes = 0;

  constructor(contents: readonly Content[], limits: LayersLimits, onWarning?: FilesOptions['onWarning']) {
    this.contents = contents;
    this.#limits = limits;
    this.#onWarning = onWarning;
  }

  /** The upper layers merged, down to the first that was not read to its end. */
  get known(): TreeNode | undefined {
    const first = this.contents.findLastIndex((layer) => !this.#trees.has(layer)) + 1;
    return this.#overlaid(this.contents.slice(first));
  }

  /** Why the first layer that cannot be read cannot; undefined as long as all can. */
  get problem(): RegistryError | undefined {
    const [first] = this.#odd.values();
    return first;
  }

  /** All layers merged. If none can be read, the reason of the first is thrown. */
  async merged(options: FilesOptions): Promise<TreeNode | undefined> {
    if (this.#merged) return this.#merged;
    for (const layer of this.contents) if (!this.#trees.has(layer)) await this.#read(layer, options);
    if (this.problem && this.#odd.size === this.contents.length) throw this.problem;
    this.#merged = this.#overlaid(this.contents);
    return this.#merged;
  }

  #overlaid(contents: readonly Content[]): TreeNode | undefined {
    let merged: TreeNode | undefined;
    for (const layer of contents) {
      const tree = this.#trees.get(layer);
      if (tree) merged = overlay(merged, tree);
    }
    return merged;
  }

  /** Reads a layer up to the path. */
  async viewUpTo(layer: Content, path: string, context: LocateContext): Promise<LayerView> {
    const known = this.#trees.get(layer);
    if (known) return { tree: known };
    const { signal } = context.limit;
    const builder = this.#createBuilder(layer);
    return this.#viewOf(builder, async () => {
      checkLayerType(layer);
      const isWhole = (await tableOf(layer, context, signal)) !== undefined || (await this.#isKept(layer, signal));
      if (!isWhole) return locate(layer, path, { ...context, onEntry: builder.add });
      for await (const entry of entriesOf(layer, { ...context, signal })) builder.add(entry);
      return undefined;
    });
  }

  /** Whether a layer is so small that it is kept. */
  async #isKept(layer: Content, signal: AbortSignal): Promise<boolean> {
    const { size } = layer.descriptor;
    const { small = 262_144 } = this.#limits;
    if (size > small || this.#keptBytes + size > mostKept) return false;
    if (await keepBytes(layer, signal)) this.#keptBytes += size;
    return true;
  }

  /** The view up to the entry that `find` finds, or the whole layer. */
  async #viewOf(builder: TreeBuilder, find: () => Promise<Located | undefined>): Promise<LayerView> {
    let located: Located | undefined;
    try {
      located = await find();
    } catch (error) {
      this.#setOdd(builder.layer, error);
    }
    if (!located) return { tree: builder.keep() };
    const { locateNext } = located;
    const viewNext = locateNext && ((path: string) => this.#viewOf(builder, () => locateNext(path)));
    return { tree: builder.tree, located, viewNext };
  }

  /** An entry of one of the trees, with its content. */
  async locate(layer: Content, { index, path }: EntryPlace, context: LocateContext): Promise<Located> {
    const located = await locateAt(layer, index, context);
    if (!located) throw damagedLayer(layer, `${quote(path)} is not there when it is read again`);
    return located;
  }

  async #read(layer: Content, options: FilesOptions): Promise<void> {
    const { add, keep } = this.#createBuilder(layer);
    try {
      for await (const entry of entriesOf(layer, options)) add(entry);
    } catch (error) {
      this.#setOdd(layer, error);
    }
    keep();
  }

  /**
   * A layer that is not what it should be does not make the files of other layers unreadable: it is reported, and has what
   * was read of it. Anything else is thrown. An artifact may have content that is not meant to be a layer, such as the
   * signature of a chart: that is not reported.
   */
  #setOdd(layer: Content, error: unknown): void {
    const isOdd = error instanceof RegistryError && (error.code === 'DECODE_ERROR' || error.code === 'UNSUPPORTED');
    if (!isOdd) throw error;
    this.#odd.set(layer, error);
    const { mediaType } = layer.descriptor;
    const isMeant = isArchiveType(mediaType) || mediaType === 'application/octet-stream';
    if (isMeant && this.contents.length > 1)
      this.#onWarning?.(`A layer has files that are left out: ${messageOf(error)}`);
  }

  #createBuilder(layer: Content): TreeBuilder {
    const own = { entries: 0, memory: 0 };
    const take = (name: 'entries' | 'memory', count: number, found: (most: number) => string): void => {
      own[name] += count;
      const most = this.#limits[name];
      if (this.#used[name] + own[name] <= most) return;
      throw cannot('TOO_LARGE', `list the files of layer ${quote(layer.descriptor.digest)}`, found(most), {
        reason: 'limit',
        value: layer.descriptor.digest,
        limit: limitNames[name],
      });
    };
    const takeMemory: TakeMemory = (bytes) =>
      take('memory', bytes, (most) => `the names of the image take more than ${most} bytes of memory`);
    const tree = createLayerTree(layer.descriptor.digest, takeMemory);
    const add = (entry: BareEntry): string => {
      take('entries', 1, (most) => `more than ${most} entries in the image`);
      return tree.add(entry);
    };
    const keep = (): LayerTree => {
      const known = this.#trees.get(layer);
      if (known) return known;
      const { entries, memory } = this.#used;
      this.#used = { entries: entries + own.entries, memory: memory + own.memory };
      this.#trees.set(layer, tree);
      return tree;
    };
    return { layer, tree, add, keep };
  }
}

const limitNames: Readonly<Record<'entries' | 'memory', string>> = {
  entries: 'limits.imageEntries',
  memory: 'limits.imageTreeBytes',
};

/** Where an entry is in its layer, and its path for messages. */
export interface EntryPlace {
  readonly index: number;
  readonly path: string;
}

/** Fills the tree of a layer, which is kept once the layer was read to its end. */
interface TreeBuilder extends Pick<LayerTreeBuilder, 'add'> {
  readonly layer: Content;
  readonly tree: LayerTree;
  keep(): LayerTree;
}
