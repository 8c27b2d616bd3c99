import type { FileFacts, Files } from './files.ts';
import { isOwner, nobody, type Owners } from './owner.ts';

/** Where files are held, and by whom. */
export interface Holding {
  readonly files: Files;
  readonly owners: Owners;
  /** The folder of the held files. */
  readonly folder: string;
  readonly join: (...parts: readonly string[]) => string;
  /** Files of this folder that are held through here now. */
  active: number;
}

/** Milliseconds without a sign of life, after which an owner counts as gone, also where its process cannot be asked for. */
const goneAfter = 60_000;

/** Somebody's file. */
export interface Other {
  readonly path: string;
  readonly facts: FileFacts;
  readonly state: 'live' | 'silent' | 'gone';
}

/** Everybody's files of one key but those at `own`. */
export async function othersOf(holding: Holding, key: string, own?: string): Promise<readonly Other[]> {
  const { files, folder, join } = holding;
  const names = (await files.list(folder)) ?? [];
  const others: Other[] = [];
  for (const name of names) {
    const path = join(folder, name);
    if (!name.startsWith(`${key}.`) || path === own) continue;
    const owner = name.slice(key.length + 1);
    const facts = await files.facts(path);
    if (facts && (owner === nobody || isOwner(owner)))
      others.push({ path, facts, state: stateOf(holding, owner, facts) });
  }
  return others;
}

/** Of an owner on another machine only the time of its last sign can be known; clocks may differ by less than a minute. */
export function stateOf({ owners }: Pick<Holding, 'owners'>, owner: string, { modified }: FileFacts): Other['state'] {
  if (owner === nobody || owners.isRunning(owner) === false) return 'gone';
  return Date.now() - modified > goneAfter ? 'silent' : 'live';
}
