import { type Config, loadConfigText, readConfigTexts } from '../index.ts';
import { helperName, helpersOf, loginsOf } from './login-helpers.ts';

/**
 * The files that parts come from which do not tell themselves where they were declared: logins, proxies, short names.
 * By key path; `files` are those that were read, the first of which that has a part wins.
 */
export async function originsOf(files: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const origins = new Map<string, string>();
  const parts = await Promise.all(files.map(partsOf));
  for (const [index, names] of parts.entries()) {
    for (const name of names) if (!origins.has(name)) origins.set(name, files[index] ?? '');
  }
  return origins;
}

/** Each scheme has its proxy from the first that names one, so each has an origin of its own. */
const proxyParts = (proxy: Config['proxy']): string[] => Object.keys(proxy ?? {}).map((scheme) => `proxy.${scheme}`);

/** The variables of the environment that the proxies which no file names come from. */
export const environmentOrigins = (proxy: Config['proxy'], origins: ReadonlyMap<string, string>): [string, string][] =>
  proxyParts(proxy)
    .filter((part) => !origins.has(part))
    .map((part) => [part, `${part.replace('proxy.', '').toUpperCase()}_PROXY of the environment`]);

async function partsOf(file: string): Promise<string[]> {
  // One that was named as a directory has certificates alone; of one whose kind is told wrong, parts go without their file.
  const read = loadConfigText(file).then((text) => readConfigTexts([text]));
  const { credentials, proxy, shortNames } = await read.catch((): Config => ({}));
  return [
    ...Object.keys(loginsOf(credentials) ?? {}).map((key) => `credentials["${key}"]`),
    ...helpersOf(credentials).map(helperName),
    ...proxyParts(proxy),
    ...(shortNames ? ['shortNames'] : []),
  ];
}
