import { cannot, type RegistryError } from '../errors.ts';
import { parseDocumentText } from '../oci/manifest.ts';
import { quote } from '../text/quote.ts';
import { entryOf, type LayoutIndex } from './entries.ts';
import type { Holding } from './others.ts';
import { readFile } from './small-files.ts';
import { foundBy, storeError } from './store-error.ts';

/** Most bytes of an `index.json` that is read. */
export const mostBytes = 67_108_864;
/** The only version of a layout there is. */
export const version = '1.0.0';

/** What is wrong with a directory that is to be looked after. */
export const noLayout = 'there is no image layout, neither "oci-layout" nor "index.json"';
export const noIndex =
  '"index.json" is missing, which gives the contents their names; bring it back, or begin another with ' +
  `the text {"schemaVersion":2,"manifests":[]} in it, and pull again what is to have a name`;

/** Of a layout that has neither an index nor contents. */
export const notBegun = 'nothing was pulled into it yet, it has no "index.json"';

/** Refuses what is neither a layout of a known version, or being made one, nor empty; hidden files are nobody's content. */
export async function checkLayout({ files, join }: Holding, directory: string, hasIndex: boolean): Promise<void> {
  const path = join(directory, 'oci-layout');
  const bytes = await readFile(files, path, mostBytes);
  if (bytes) {
    const { imageLayoutVersion: found } = parseObject(bytes, path);
    if (found === version) return;
    throw storeError('use', path, `imageLayoutVersion ${quote(found)}, only "${version}" is known`);
  }
  const names = hasIndex ? ['index.json'] : ((await files.list(directory)) ?? []);
  const [stranger] = names.filter((name) => !name.startsWith('.') && name !== 'lost+found');
  if (stranger === undefined || (await files.facts(path))) return;
  throw storeError('use directory', directory, `no image layout, as there is ${quote(stranger)} but no "oci-layout"`);
}

/** Refuses a layout that has lost its index: in another one its contents had no names, and `gc` would remove them. */
export async function refuseLost({ files, join }: Pick<Holding, 'files' | 'join'>, directory: string): Promise<void> {
  const hasIndex = async (): Promise<boolean> => (await files.facts(join(directory, 'index.json'))) !== undefined;
  if (await hasIndex()) return;
  const root = join(directory, 'blobs');
  for (const algorithm of (await files.list(root)) ?? []) {
    const folder = join(root, algorithm);
    if (await files.facts(folder)) continue;
    const contents = ((await files.list(folder)) ?? []).filter((name) => !name.startsWith('.'));
    if (contents.length === 0) continue;
    // Somebody may have made both meanwhile, the index first.
    if (!(await hasIndex())) throw storeError('use directory', directory, noIndex);
  }
}

/** What `index.json` says, as far as it can be told from its form. */
export function parseIndex(bytes: Uint8Array, path: string): LayoutIndex {
  const { manifests, ...document } = parseObject(bytes, path);
  if (document.schemaVersion !== undefined && document.schemaVersion !== 2) {
    throw bad(path, `schemaVersion ${quote(document.schemaVersion)}, expected 2`);
  }
  const list = manifests ?? [];
  if (!Array.isArray(list)) throw bad(path, 'manifests is not a list');
  const strange = list.findIndex((raw) => typeof raw !== 'object' || raw === null || Array.isArray(raw));
  if (strange !== -1) throw bad(path, `manifests[${strange}] is not an object`);
  return { document, entries: list.map(entryOf) };
}

function parseObject(bytes: Uint8Array, path: string): Record<string, unknown> {
  try {
    return parseDocumentText(bytes);
  } catch (error) {
    throw bad(path, foundBy(error), error);
  }
}

const bad = (path: string, found: string, cause?: unknown): RegistryError =>
  cannot('STORE_ERROR', `read ${quote(path)}`, found, { value: path, cause });
