import type { Content } from '../content/content.ts';
import { cannot } from '../errors.ts';
import { quote } from '../text/quote.ts';
import type { BareEntry, FileEntry } from './entry.ts';
import { listFiles } from './layer.ts';
import { damagedLayer, mustBeLayer } from './layer-bytes.ts';
import { addEntry, createTree, type Node, overlay } from './layer-tree.ts';
import { type LocateContext, type Located, locate, locateAt, tableOf } from './locate.ts';

import type { FilesOptions } from './options.ts';

/** Most names of a path; Linux takes 4,096 bytes. */
const deepest = 2048;

/** What is known of a layer after a path was looked for in it. */
export interface Glance {
  /** All that is in the layer; up to the path only, where it was found on the way. */
  readonly tree: Node;
  /** The path, where the reading stands. Whoever has it releases it, or reads it. */
  readonly located?: Located | undefined;
  /** Reads on from there to another path. */
  readonly goOn?: ((path: string) => Promise<Glance>) | undefined;
}

/** The layers of an image, the lowest first, and what was learnt of them. */
export class Layers {
  readonly contents: readonly Content[];
  readonly #mostEntries: number;
  readonly #trees = new Map<Content, Node>();
  /** Entries by what they are in the order of their layer. */
  readonly #numbers = new WeakMap<FileEntry, number>();
  #merged: Node | undefined;
  #count = 0;

  /** `mostEntries`: of all layers together. */
  constructor(contents: readonly Content[], mostEntries: number) {
    this.contents = contents;
    this.#mostEntries = mostEntries;
  }

  /** The upper layers together, as far as all of them were read to their end. */
  get known(): Node {
    const first = this.contents.findLastIndex((layer) => !this.#trees.has(layer)) + 1;
    let known: Node | undefined;
    for (const layer of this.contents.slice(first)) known = overlay(known, this.#trees.get(layer) ?? createTree());
    return known ?? createTree();
  }

  /** An entry of a layer that is known. */
  async locate(layer: Content, entry: FileEntry, context: LocateContext): Promise<Located> {
    const number = this.#numbers.get(entry);
    const located = number === undefined ? undefined : await locateAt(layer, number, context);
    if (!located) throw damagedLayer(layer, `${quote(entry.path)} is not there when it is read again`);
    return located;
  }

  /** Reads a layer as far as the path. */
  async glance(layer: Content, path: string, context: LocateContext): Promise<Glance> {
    const known = this.#trees.get(layer);
    if (known) return { tree: known };
    mustBeLayer(layer);
    if (await tableOf(layer, context, context.limit.signal))
      return { tree: await this.#read(layer, { ...context, signal: context.limit.signal }) };
    const growing = this.#begin(layer);
    return glanceOf(growing, await locate(layer, path, { ...context, see: growing.add }));
  }

  /** All layers together. */
  async merged(options: FilesOptions): Promise<Node> {
    if (this.#merged) return this.#merged;
    let merged: Node | undefined;
    for (const layer of this.contents) {
      const tree = this.#trees.get(layer) ?? (await this.#read(layer, options));
      merged = overlay(merged, tree);
    }
    this.#merged = merged ?? createTree();
    return this.#merged;
  }

  async #read(layer: Content, options: FilesOptions): Promise<Node> {
    const { add, keep } = this.#begin(layer);
    for await (const entry of listFiles(layer, options)) add(entry);
    return keep();
  }

  /** A tree to be filled, and kept once the layer was read to its end. */
  #begin(layer: Content): Growing {
    const mostEntries = this.#mostEntries;
    const tree = createTree();
    let count = 0;
    const add = (entry: BareEntry): string => {
      count += 1;
      if (this.#count + count > mostEntries) {
        throw cannot('TOO_LARGE', 'list the files of an image', `more than ${mostEntries} entries`, {
          reason: 'limit',
        });
      }
      const depth = entry.path.split('/').length;
      if (depth > deepest) throw damagedLayer(layer, `a path of ${depth} names, more than ${deepest}`);
      const added = addEntry(tree, { ...entry, layer: layer.descriptor.digest });
      this.#numbers.set(added, count - 1);
      return added.path;
    };
    const keep = (): Node => {
      if (!this.#trees.has(layer)) this.#count += count;
      this.#trees.set(layer, tree);
      return tree;
    };
    return { tree, add, keep };
  }
}

interface Growing {
  readonly tree: Node;
  add(entry: BareEntry): string;
  keep(): Node;
}

function glanceOf(growing: Growing, located: Located | undefined): Glance {
  if (!located) return { tree: growing.keep() };
  const { goOn } = located;
  return {
    tree: growing.tree,
    located,
    goOn: goOn && (async (path) => glanceOf(growing, await goOn(path))),
  };
}
