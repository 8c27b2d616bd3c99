import type { Content } from '../content/content.ts';
import { cannot, type RegistryError } from '../errors.ts';
import { quote } from '../oci/quote.ts';
import type { BareEntry } from './entry.ts';

/** What was asked for on the way to one file. */
export interface Asked {
  /** By layer. */
  readonly paths: Map<Content, Set<string>>;
  /** A layer was read to its end, and one of the paths had come again in it: what was made of its first is wrong. */
  isWrong: boolean;
}

export const nothingAsked = (): Asked => ({ paths: new Map(), isWrong: false });

/** Entries of an archive as they come, and whether a path comes again after its first. */
export interface Repeats {
  see(entry: BareEntry): void;
  /** The first path that came again. */
  readonly found: string | undefined;
}

/** `paths` may grow while entries come. */
export function createRepeats(paths: ReadonlySet<string>): Repeats {
  const met = new Map<string, BareEntry>();
  let found: string | undefined;
  return {
    see: (entry) => {
      for (const [path, other] of met) if (puts(entry, other)) found ??= path;
      if (paths.has(entry.path)) met.set(entry.path, entry);
    },
    get found() {
      return found;
    },
  };
}

/** Whether unpacking the entry puts something else where another one is. */
export function puts({ path, type }: BareEntry, other: BareEntry): boolean {
  const isDirectory = type === 'directory';
  const wasDirectory = other.type === 'directory';
  // A directory stays what it is when it comes again, and when something is put into it.
  if (path === other.path) return !(isDirectory && wasDirectory);
  return other.path.startsWith(`${path}/`) ? !isDirectory : !wasDirectory && path.startsWith(`${other.path}/`);
}

/** The error of a layer whose first entry of a path was read, though the last is what counts. */
export const comesAgain = ({ descriptor: { digest } }: Content, path: string): RegistryError =>
  cannot(
    'BAD_RESPONSE',
    `read ${quote(path)} in layer ${quote(digest)}`,
    'the path comes again in it, and the last one counts',
  );
