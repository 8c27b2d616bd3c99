import { type Copied, layoutStore, mediaTypes } from '../index.ts';
import { oneLine } from './io.ts';
import type { Transfer } from './transfer.ts';

export interface Pulled {
  readonly pulled: Pick<Copied, 'replaced'>;
  readonly transfer: Pick<Transfer, 'items'>;
  readonly directory: string;
  /** What the layout calls it now. */
  readonly name: string | undefined;
}

/** What a user should know of a layout after a pull that went well. */
export async function pullNotes({ pulled: { replaced }, transfer, directory, name }: Pulled): Promise<string[]> {
  const notes: string[] = [];
  if (replaced && name !== undefined) {
    const lost = (await hasName(directory, replaced.digest)) ? '' : ', which has no name now';
    notes.push(`"${oneLine(name)}" stood for ${replaced.digest} before${lost}; --name gives another`);
  }
  if ([...transfer.items.values()].some(({ mediaType }) => dockerTypes.has(mediaType)))
    notes.push(
      "it has Docker's media types: skopeo and umoci read only OCI manifests out of a layout; crane and regctl read this one",
    );
  return notes.map((text) => `note: ${text}`);
}

const dockerTypes: ReadonlySet<string> = new Set([mediaTypes.dockerManifest, mediaTypes.dockerList]);

/** Names of a layout that are looked through. */
const mostNames = 200;

/** Also where that cannot be told: what cannot be read is no failure of the pull. */
async function hasName(directory: string, digest: string): Promise<boolean> {
  const store = layoutStore(directory);
  try {
    const names = await store.tags();
    if (names.length > mostNames) return true;
    const named = await Promise.allSettled(names.map((tag) => store.resolve(tag)));
    return named.some((one) => one.status === 'fulfilled' && one.value.digest === digest);
  } catch {
    return true;
  }
}
