import type { CredentialHelpers, CredentialProvider, Login } from '../login.ts';
import { sameRegistry } from '../oci/registry.ts';
import type { ProxyConfig } from '../proxy.ts';
import { credentialsFor, loginFrom } from './credentials.ts';
import { helperCredentials } from './docker/helper-credentials.ts';
import type { ParsedFile } from './document/file-report.ts';
import type { Config, RegistryConfig } from './model.ts';

/** What one file says, and the credential helpers that it names. */
export type FileRead = ParsedFile & { readonly helpers?: CredentialHelpers | readonly CredentialHelpers[] | undefined };

/**
 * One configuration of several, the first of which win: a registry is taken whole from the first that names it, a login
 * from the first that has one, a proxy for each scheme likewise. Where a file names a helper for a host, the helper comes
 * before what the same file has written down, as in Docker.
 */
export function mergeReads(reads: readonly FileRead[]): Config {
  const registries: Record<string, RegistryConfig> = Object.create(null);
  const aliases: Record<string, string> = Object.create(null);
  const proxy: ProxyConfig = {};
  const settings: Record<string, object> = {};
  for (const { config } of [...reads].reverse()) {
    Object.assign(registries, config.registries);
    Object.assign(aliases, config.shortNames?.aliases);
    Object.assign(proxy, config.proxy);
    for (const name of settingNames) {
      if (config[name]) settings[name] = { ...settings[name], ...config[name] };
    }
  }
  const search = reads.find(({ config }) => config.shortNames?.search)?.config.shortNames?.search;
  const allowPrivate = [...new Set(reads.flatMap(({ config }) => config.allowPrivate ?? []))];
  const warnings = [...new Set(reads.flatMap((read) => read.warnings))];
  const hasAliases = Object.keys(aliases).length > 0;
  return {
    registries,
    credentials: mergeCredentials(reads),
    ...(Object.keys(proxy).length > 0 && { proxy }),
    ...settings,
    ...((hasAliases || search) && { shortNames: { ...(hasAliases && { aliases }), ...(search && { search }) } }),
    ...(allowPrivate.length > 0 && { allowPrivate }),
    ...(warnings.length > 0 && { warnings }),
  };
}

const settingNames = ['timeouts', 'retries', 'limits'] as const;

type LoginsByHost = Readonly<Record<string, Login>>;

function mergeCredentials(reads: readonly FileRead[]): Config['credentials'] {
  const steps = reads.map(({ config: { credentials }, helpers }) => ({
    logins: typeof credentials === 'function' ? {} : (credentials ?? {}),
    helpers: [helpers ?? []].flat().filter(isUsed),
  }));
  const logins: LoginsByHost = Object.assign(Object.create(null), ...steps.map((step) => step.logins).reverse());
  const helpers = steps.flatMap((step) => step.helpers);
  if (helpers.length === 0) return logins;
  const provider = steps.reduceRight<CredentialProvider>(
    (next, step) => {
      const written = loginFrom(step.logins);
      const fallback: CredentialProvider = async (host, context) =>
        (await written(host, context)) ?? next(host, context);
      return step.helpers.reduceRight((inner, each) => helperCredentials({ ...each, fallback: inner }), fallback);
    },
    () => undefined,
  );
  const describe = (host: string, repository: string): string | undefined => {
    const sources = steps.map(
      (step) => programFor(step.helpers, host) ?? credentialsFor(step.logins, host, repository),
    );
    return sources.find((text) => text !== undefined);
  };
  return Object.assign(provider, { describe, logins, helpers });
}

const isUsed = ({ credsStore, credHelpers = {} }: CredentialHelpers): boolean =>
  credsStore !== undefined || Object.keys(credHelpers).length > 0;

function programFor(helpers: readonly CredentialHelpers[], host: string): string | undefined {
  for (const { credsStore, credHelpers = {} } of helpers) {
    const own = Object.keys(credHelpers).find((key) => sameRegistry(key, host));
    const name = own === undefined ? credsStore : credHelpers[own];
    if (name) return `docker-credential-${name}`;
  }
  return undefined;
}
