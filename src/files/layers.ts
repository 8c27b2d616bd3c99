import type { Content } from '../content/content.ts';
import { cannot } from '../errors.ts';
import { quote } from '../text/quote.ts';
import type { BareEntry, FileEntry } from './entry.ts';
import { listFiles } from './layer.ts';
import { checkLayerType, damagedLayer } from './layer-bytes.ts';
import { addEntry, createTree, mostNames, overlay, type TreeNode } from './layer-tree.ts';
import {
  type FilesOptions,
  type LocateContext,
  type Located,
  locate,
  locateAt,
  type ReadContext,
  tableOf,
} from './locate.ts';

/** What is known of a layer after a path was looked for in it. */
export interface LayerView {
  /** Everything in the layer, or only up to the path if the layer was read up to it. */
  readonly tree: TreeNode;
  /** The path, if the layer was read up to it. The caller reads or releases it. */
  readonly located?: Located | undefined;
  /** Reads on from there to another path. */
  readonly viewNext?: ((path: string) => Promise<LayerView>) | undefined;
}

/** The layers of an image, the lowest first, and what is known of them. */
export class Layers {
  readonly contents: readonly Content[];
  readonly #mostEntries: number;
  readonly #trees = new Map<Content, TreeNode>();
  /** Index of each entry in its layer. */
  readonly #indexes = new WeakMap<FileEntry, number>();
  #merged: TreeNode | undefined;
  #count = 0;

  /** `mostEntries`: of all layers together. */
  constructor(contents: readonly Content[], mostEntries: number) {
    this.contents = contents;
    this.#mostEntries = mostEntries;
  }

  /** The upper layers merged, down to the first that was not read to its end. */
  get known(): TreeNode {
    const first = this.contents.findLastIndex((layer) => !this.#trees.has(layer)) + 1;
    let known: TreeNode | undefined;
    for (const layer of this.contents.slice(first)) known = overlay(known, this.#trees.get(layer) ?? createTree());
    return known ?? createTree();
  }

  /** All layers merged. */
  async merged(options: FilesOptions): Promise<TreeNode> {
    if (this.#merged) return this.#merged;
    let merged: TreeNode | undefined;
    for (const layer of this.contents) {
      merged = overlay(merged, this.#trees.get(layer) ?? (await this.#read(layer, options)));
    }
    this.#merged = merged ?? createTree();
    return this.#merged;
  }

  /** Reads a layer up to the path. */
  async viewUpTo(layer: Content, path: string, context: LocateContext): Promise<LayerView> {
    const known = this.#trees.get(layer);
    if (known) return { tree: known };
    checkLayerType(layer);
    const { signal } = context.limit;
    if (await tableOf(layer, context, signal)) return { tree: await this.#read(layer, { ...context, signal }) };
    const builder = this.#createBuilder(layer);
    return viewOf(builder, await locate(layer, path, { ...context, onEntry: builder.add }));
  }

  /** An entry of one of the trees, with its content. */
  async locate(layer: Content, entry: FileEntry, context: ReadContext): Promise<Located> {
    const index = this.#indexes.get(entry);
    const located = index === undefined ? undefined : await locateAt(layer, index, context);
    if (!located) throw damagedLayer(layer, `${quote(entry.path)} is not there when it is read again`);
    return located;
  }

  async #read(layer: Content, options: FilesOptions): Promise<TreeNode> {
    const { add, keep } = this.#createBuilder(layer);
    for await (const entry of listFiles(layer, options)) add(entry);
    return keep();
  }

  #createBuilder(layer: Content): TreeBuilder {
    const mostEntries = this.#mostEntries;
    const tree = createTree();
    let count = 0;
    const add = (entry: BareEntry): string => {
      count += 1;
      if (this.#count + count > mostEntries) {
        const found = `more than ${mostEntries} entries`;
        throw cannot('TOO_LARGE', 'list the files of an image', found, { reason: 'limit' });
      }
      const depth = entry.path.split('/').length;
      if (depth > mostNames) throw damagedLayer(layer, `a path of ${depth} names, more than ${mostNames}`);
      const added = addEntry(tree, { ...entry, layer: layer.descriptor.digest });
      this.#indexes.set(added, count - 1);
      return added.path;
    };
    const keep = (): TreeNode => {
      if (!this.#trees.has(layer)) this.#count += count;
      this.#trees.set(layer, tree);
      return tree;
    };
    return { tree, add, keep };
  }
}

/** Fills the tree of a layer, which is kept once the layer was read to its end. */
interface TreeBuilder {
  readonly tree: TreeNode;
  /** Returns the path at which the entry was added. */
  add(entry: BareEntry): string;
  keep(): TreeNode;
}

function viewOf(builder: TreeBuilder, located: Located | undefined): LayerView {
  if (!located) return { tree: builder.keep() };
  const { locateNext } = located;
  const viewNext = locateNext && (async (path: string) => viewOf(builder, await locateNext(path)));
  return { tree: builder.tree, located, viewNext };
}
