import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { SettingsFile } from '../../server/index.ts';
import { errorText } from '../printable.ts';
import type { AppSettings } from './schema.ts';
import type { SecretSetting } from './values.ts';

/** What the parts of an app are made with. */
export interface AppContext {
  readonly file: SettingsFile<AppSettings>;
  /** A path of the file, which is relative to it. */
  pathOf(path: string): string;
  /** A text file that the file names at this key. `INVALID_CONFIG` if it cannot be read. */
  textOf(path: string, key: readonly PropertyKey[]): Promise<string>;
  /** `INVALID_CONFIG` if the file or the variable is not there. */
  secretOf(setting: SecretSetting, key: readonly PropertyKey[]): Promise<string>;
  /** The part that a section needs, loaded now; it fails with what to install. */
  load<Part>(key: readonly PropertyKey[], packages: readonly string[], part: () => Promise<Part>): Promise<Part>;
  /** Reports something that goes wrong while it runs. */
  warn(error: unknown): void;
  /** Says something that somebody must see, such as a password that was made. */
  announce(text: string): void;
  /** Called in reverse order when the app ends. */
  onClose(close: () => unknown): void;
}

export function createContext(
  path: string,
  file: SettingsFile<AppSettings>,
  { environment, ...reports }: { readonly environment: NodeJS.ProcessEnv } & Pick<AppContext, 'warn' | 'announce'>,
): { readonly context: AppContext; close(): Promise<void> } {
  const closing: (() => unknown)[] = [];
  const pathOf = (given: string): string => resolve(dirname(resolve(path)), given);
  const textOf: AppContext['textOf'] = async (given, key) => {
    try {
      return await readFile(pathOf(given), 'utf8');
    } catch (error) {
      throw file.refuse(
        key,
        `found a path that cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`,
      );
    }
  };
  const context: AppContext = {
    ...{ file, pathOf, textOf, ...reports },
    secretOf: async (setting, key) => {
      if (typeof setting === 'string') return setting;
      if ('file' in setting) return (await textOf(setting.file, key)).trim();
      const value = environment[setting.env];
      if (value === undefined || value === '') throw file.refuse(key, `found env ${setting.env}, which is not set`);
      return value;
    },
    load: async (key, packages, part) => {
      try {
        return await part();
      } catch (error) {
        const isMissing = /^(?:ERR_MODULE_NOT_FOUND|UNSUPPORTED)$/.test(String((error as NodeJS.ErrnoException).code));
        if (!isMissing) throw error;
        throw file.refuse(key, `it needs other packages (npm install ${packages.join(' ')}): ${errorText(error)}`);
      }
    },
    onClose: (close) => void closing.push(close),
  };
  return {
    context,
    close: async () => {
      for (const close of closing.splice(0).reverse()) await close();
    },
  };
}
