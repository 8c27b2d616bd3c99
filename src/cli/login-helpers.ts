import type { Config, CredentialProvider, HelperFailure, Login } from '../index.ts';

/** A program that gives logins. */
export interface LoginHelper {
  /** host[:port] that it is for; undefined: all hosts without a helper of their own. */
  readonly host?: string | undefined;
  /** `docker-credential-*`; `none` if a host is excluded from the helper of all others. */
  readonly helper: string;
}

/** The logins that the configuration contains. */
export const loginsOf = (credentials: Config['credentials']): Readonly<Record<string, Login>> | undefined =>
  typeof credentials === 'function' ? credentials.logins : credentials;

/** The programs that are run, in this order. */
export function helpersOf(credentials: Config['credentials']): LoginHelper[] {
  const helpers = typeof credentials === 'function' ? (credentials.helpers ?? []) : [];
  return helpers.flatMap(({ credsStore, credHelpers = {} }) => [
    ...Object.entries(credHelpers).map(([host, name]) => ({ host, helper: programOf(name) })),
    ...(credsStore ? [{ helper: programOf(credsStore) }] : []),
  ]);
}

const programOf = (name: string): string => (name === '' ? 'none' : `docker-credential-${name}`);

/** How it is printed. */
export const helperName = ({ host, helper }: LoginHelper): string =>
  `${host === undefined ? 'credentials of all others' : `credentials["${host}"]`}, helper: ${helper}`;

/** What to do about a helper that failed. */
export const helperAdvice = ({ program, found, isMissing }: HelperFailure): string =>
  isMissing
    ? `${program} is not on PATH: install it, or remove it from the file that names it`
    : `Run ${program} yourself, or remove it from the file that names it: it failed with ${found}`;

/** Where the login of a host came from. */
export interface LoginFound {
  /** In the words of a plan; undefined if there was no login. */
  readonly source: string | undefined;
  /** The helpers that were run and had none, if there was no login. */
  readonly empty: readonly string[];
}

/** Credentials that remember where the login of `host` came from; `found` is undefined until it is requested. */
export function watchCredentials(
  credentials: Config['credentials'],
  host: string,
): { readonly credentials: Config['credentials']; readonly found: () => LoginFound | undefined } {
  let found: LoginFound | undefined;
  if (typeof credentials !== 'function') return { credentials, found: () => found };
  const provider: CredentialProvider = async (requested, context) => {
    const login = await credentials(requested, context);
    if (requested === host) found = foundOf(credentials, host, login);
    return login;
  };
  return { credentials: provider, found: () => found };
}

function foundOf(
  { logins = {}, helpers = [] }: CredentialProvider,
  host: string,
  login: Login | undefined,
): LoginFound {
  const name = host.replace(/^(?:registry-1|index)\.docker\.io$/, 'docker.io');
  const programs = helpers.map(({ credHelpers = {}, credsStore = '' }) => credHelpers[name] ?? credsStore);
  const run = [...new Set(programs.filter((program) => program !== ''))].map(programOf);
  if (!login) return { source: undefined, empty: run };
  const key = Object.keys(logins).find((one) => logins[one] === login);
  return { source: key === undefined ? run.join(' or ') : `credentials["${key}"]`, empty: [] };
}
