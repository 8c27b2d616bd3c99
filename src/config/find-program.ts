import { access, constants } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import { quote } from '../oci/quote.ts';

/** The program's file, in the first absolute folder of PATH that has it, or why there is none. */
export async function findProgram(program: string): Promise<{ readonly file: string } | { readonly fault: string }> {
  const isWindows = process.platform === 'win32';
  const name = isWindows && !/\.exe$/i.test(program) ? `${program}.exe` : program;
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => isAbsolute(folder));
  const can = (file: string, mode: number): Promise<boolean> =>
    access(file, mode).then(
      () => true,
      () => false,
    );
  let useless: string | undefined;
  for (const folder of folders) {
    const file = join(folder, name);
    if (await can(file, isWindows ? constants.F_OK : constants.X_OK)) return { file };
    if (useless === undefined && (await can(file, constants.F_OK))) useless = file;
  }
  return {
    fault: useless === undefined ? 'there is no such program on PATH' : `${quote(useless)} may not be executed`,
  };
}
