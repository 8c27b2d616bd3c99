import type { Digest } from '../oci/digest.ts';
import type { BareEntry, FileEntry, FileType } from './entry.ts';

/** Takes bytes of memory, estimated, out of a budget; fails when none are left. */
export type TakeMemory = (bytes: number) => void;

/** What many entries have in common, kept once. */
type Attributes = Pick<BareEntry, 'mode' | 'uid' | 'gid' | 'userName' | 'groupName'>;

/** What few entries have. */
type Details = Pick<BareEntry, 'linkPath' | 'deviceMajor' | 'deviceMinor' | 'xattrs'>;

const types: readonly FileType[] = [
  'file',
  'directory',
  'symlink',
  'hardlink',
  'character-device',
  'block-device',
  'fifo',
];

/** Numbers of an entry: type, size, time, index of its attributes. */
const width = 4;

/** The entries of a layer in its order, without their paths, in little memory: as objects they would take ten times more. */
export class LayerEntries {
  readonly layer: Digest;
  readonly #take: TakeMemory;
  #rows = new Float64Array(16 * width);
  #length = 0;
  readonly #attributes: Attributes[] = [];
  readonly #indexes = new Map<string, number>();
  readonly #details = new Map<number, Details>();
  /** Of hard links: the entry that they are another name of or, if it is not in this layer, its path. */
  readonly #linked = new Map<number, number | string>();

  constructor(layer: Digest, take: TakeMemory) {
    this.layer = layer;
    this.#take = take;
  }

  get length(): number {
    return this.#length;
  }

  /** Returns its index. */
  add(entry: BareEntry): number {
    const index = this.#length;
    if ((index + 1) * width > this.#rows.length) {
      const rows = new Float64Array(2 * this.#rows.length);
      rows.set(this.#rows);
      this.#rows = rows;
    }
    const { type, size, modified, linkPath, deviceMajor, deviceMinor, xattrs } = entry;
    const values = [types.indexOf(type), size, modified.getTime(), this.#attributesOf(entry)];
    this.#rows.set(values, index * width);
    if (linkPath !== undefined || deviceMajor !== undefined || xattrs) {
      const details = {
        ...(linkPath !== undefined && { linkPath }),
        ...(deviceMajor !== undefined && { deviceMajor, deviceMinor }),
        ...(xattrs && { xattrs }),
      };
      let bytes = 200 + 2 * (linkPath?.length ?? 0);
      for (const [name, value] of Object.entries(xattrs ?? {})) bytes += 300 + 2 * name.length + value.length;
      this.#take(bytes);
      this.#details.set(index, details);
    }
    this.#length += 1;
    return index;
  }

  #attributesOf({ mode, uid, gid, userName, groupName }: BareEntry): number {
    const key = `${mode} ${uid} ${gid} ${userName?.length ?? ''} ${userName ?? ''} ${groupName ?? ''}`;
    const known = this.#indexes.get(key);
    if (known !== undefined) return known;
    this.#take(300 + 4 * key.length);
    const names = { ...(userName !== undefined && { userName }), ...(groupName !== undefined && { groupName }) };
    const index = this.#attributes.push({ mode, uid, gid, ...names }) - 1;
    this.#indexes.set(key, index);
    return index;
  }

  at(index: number, path: string): FileEntry {
    const [, size = 0, time = 0, attributes = 0] = this.#rows.subarray(index * width, (index + 1) * width);
    const { mode = 0, uid = 0, gid = 0, ...names } = this.#attributes[attributes] ?? {};
    return {
      path,
      type: this.typeAt(index),
      size,
      mode,
      uid,
      gid,
      ...names,
      modified: new Date(time),
      ...this.#details.get(index),
      layer: this.layer,
    };
  }

  typeAt(index: number): FileType {
    return types[this.#rows[index * width] ?? 0] ?? 'file';
  }

  /** Of a link. */
  linkPathAt(index: number): string {
    return this.#details.get(index)?.linkPath ?? '';
  }

  setLinked(index: number, linked: number | string): void {
    this.#take(typeof linked === 'string' ? 100 + 2 * linked.length : 50);
    this.#linked.set(index, linked);
  }

  linkedAt(index: number): number | string {
    return this.#linked.get(index) ?? this.linkPathAt(index);
  }
}
