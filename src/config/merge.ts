import type { CredentialProvider, Login } from '../login.ts';
import { credentialsFor, loginFrom } from './credentials.ts';
import { type Helpers, helperCredentials } from './helper-credentials.ts';
import type { Config, RegistryConfig } from './model.ts';
import type { Read } from './read.ts';

/** What one file says, and the credential helpers that it names. */
export type FileRead = Read & { readonly helpers?: Helpers | readonly Helpers[] | undefined };

/**
 * One configuration of several, the first of which win: a registry is taken whole from the first that names it, a login
 * from the first that has one for its key. Helpers are asked where no file has a login for the host.
 */
export function mergeReads(reads: readonly FileRead[]): Config {
  const registries: Record<string, RegistryConfig> = Object.create(null);
  const logins: Record<string, Login> = Object.create(null);
  const aliases: Record<string, string> = Object.create(null);
  for (const { config } of [...reads].reverse()) {
    Object.assign(registries, config.registries);
    if (typeof config.credentials !== 'function') Object.assign(logins, config.credentials);
    Object.assign(aliases, config.shortNames?.aliases);
  }
  const search = reads.find(({ config }) => config.shortNames?.search)?.config.shortNames?.search;
  const proxy = reads.find(({ config }) => config.proxy)?.config.proxy;
  const warnings = [...new Set(reads.flatMap((read) => read.warnings))];
  const hasAliases = Object.keys(aliases).length > 0;
  return {
    registries,
    credentials: withHelpers(
      logins,
      reads.flatMap(({ helpers }) => helpers ?? []),
    ),
    ...(proxy && { proxy }),
    ...((hasAliases || search) && { shortNames: { ...(hasAliases && { aliases }), ...(search && { search }) } }),
    ...(warnings.length > 0 && { warnings }),
  };
}

function withHelpers(logins: Record<string, Login>, all: readonly Helpers[]): Config['credentials'] {
  const used = all.filter(({ credsStore, credHelpers = {} }) => credsStore || Object.keys(credHelpers).length > 0);
  if (used.length === 0) return logins;
  const written = loginFrom(logins);
  const asked = used.reduceRight<CredentialProvider | undefined>(
    (fallback, helpers) => helperCredentials({ ...helpers, fallback }),
    undefined,
  );
  const provider: CredentialProvider = async (host, context) =>
    (await written(host, context)) ?? asked?.(host, context);
  const describe = (host: string, repository: string): string =>
    credentialsFor(logins, host, repository) ?? 'a credential helper, if it has one';
  return Object.assign(provider, { describe });
}
