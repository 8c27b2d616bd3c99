import { z } from 'zod';
import { remember } from '../../bounded-map.ts';
import { type Descriptor, isReadable, statedDescriptor } from '../../oci/descriptor.ts';
import { formatReference, type Repository } from '../../oci/reference.ts';
import type { Validator } from '../../source.ts';
import { type SmallFiles, smallFiles } from './small-files.ts';

/** What a tag named when upstream was asked. */
export interface TagState {
  readonly descriptor: Descriptor;
  readonly validator?: Validator | undefined;
  /** Milliseconds since 1970. */
  readonly checked: number;
}

/** What the tags of one repository named: the newest first, then what they named before, if only that may be kept. */
export interface RepositoryTags {
  read(tag: string): Promise<readonly TagState[]>;
  /** Without states, the tag is forgotten. Returns when it is on the disk. `STORE_ERROR` */
  write(tag: string, states: readonly TagState[]): Promise<void>;
  /** Sorted by code point. */
  tags(): Promise<readonly string[]>;
}

/** Most repositories whose tags are in memory, and tags that are remembered of one. */
const mostRepositories = 1_000;
const mostTags = 10_000;

type Tags = Map<string, readonly TagState[]>;

/** The tags of all repositories: in a folder, a file for each repository, or in memory only. */
export function createTagRecords(folder: string | undefined): (repository: Repository) => RepositoryTags {
  const disk = folder === undefined ? undefined : smallFiles(folder);
  const loaded = new Map<string, Promise<Tags>>();
  const load = (repository: string): Promise<Tags> => {
    const known = loaded.get(repository) ?? readTags(disk, repository);
    remember(loaded, repository, known, mostRepositories);
    return known;
  };
  return (given) => {
    const repository = formatReference(given);
    return {
      read: async (tag) => (await load(repository)).get(tag) ?? [],
      write: async (tag, states) => {
        const tags = await load(repository);
        // What was never here needs no file: there is no end of names.
        if (states.length === 0 && !tags.delete(tag)) return;
        if (states.length > 0) remember(tags, tag, states, mostTags);
        await disk?.write(repository, { repository, tags: Object.fromEntries(tags) });
      },
      tags: async () => [...(await load(repository)).keys()].sort(),
    };
  };
}

const stateSchema = z.object({
  descriptor: z.unknown().transform((value) => statedDescriptor(value, [])),
  validator: z.object({ etag: z.string(), from: z.string() }).optional(),
  checked: z.number(),
});
const recordSchema = z.object({ repository: z.string(), tags: z.record(z.string(), z.array(stateSchema)) });

/** What a file says; nothing if it cannot be read: then upstream is asked again. */
async function readTags(disk: SmallFiles | undefined, repository: string): Promise<Tags> {
  const value = await disk?.read(repository).catch(() => undefined);
  const { data } = recordSchema.safeParse(value);
  if (data?.repository !== repository) return new Map();
  const readable = Object.entries(data.tags).map(([tag, states]): [string, readonly TagState[]] => [
    tag,
    states.filter(({ descriptor }) => isReadable(descriptor)),
  ]);
  return new Map(readable);
}
