import type { FrontOptions } from './front-options.ts';

/**
 * Reads the file of a front and the files of cloud ranges that it names: the options for `redirectFront`. JSON and TOML are known
 * by the ending of the name, all else is YAML. `INVALID_CONFIG` with all problems, each with `file:line:column`.
 */
export async function loadFront(path: string): Promise<FrontOptions> {
  const { readFrontFiles } = await import('./front-file.ts');
  return readFrontFiles(path);
}
