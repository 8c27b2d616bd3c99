import { RegistryError } from '../errors.ts';
import { quote } from '../oci/quote.ts';
import { builtin } from '../runtime.ts';

/** PEM text, or the text of the PEM file of that name. `INVALID_CONFIG` where it cannot be read or is no PEM; `where` says whose it is. */
export function readPem(textOrPath: string, where: string): string {
  if (textOrPath.includes('-----BEGIN ')) return textOrPath;
  const doing = `Cannot read ${where} from file ${quote(textOrPath)}`;
  let text: string | undefined;
  try {
    text = builtin('node:fs')?.readFileSync(textOrPath, 'utf8');
  } catch (cause) {
    throw new RegistryError('INVALID_CONFIG', `${doing}: ${(cause as Error).message}`, { cause });
  }
  if (text === undefined) throw new RegistryError('INVALID_CONFIG', `${doing}: this runtime has no files`);
  if (!text.includes('-----BEGIN ')) throw new RegistryError('INVALID_CONFIG', `${doing}: no PEM in it`);
  return text;
}
