import type { Config, CredentialProvider, Login } from '../index.ts';

/** A program that is asked for logins. */
export interface LoginHelper {
  /** host[:port] that it is asked for; undefined for all that have no helper of their own. */
  readonly host?: string | undefined;
  /** `docker-credential-*`; `none` where a host is kept from the helper of all others. */
  readonly helper: string;
}

/** The logins that are written down. */
export const loginsOf = (credentials: Config['credentials']): Readonly<Record<string, Login>> | undefined =>
  typeof credentials === 'function' ? credentials.logins : credentials;

/** The programs that are asked, in this order. */
export function helpersOf(credentials: Config['credentials']): LoginHelper[] {
  const helpers = typeof credentials === 'function' ? (credentials.helpers ?? []) : [];
  return helpers.flatMap(({ credsStore, credHelpers = {} }) => [
    ...Object.entries(credHelpers).map(([host, name]) => ({ host, helper: programOf(name) })),
    ...(credsStore ? [{ helper: programOf(credsStore) }] : []),
  ]);
}

const programOf = (name: string): string => (name === '' ? 'none' : `docker-credential-${name}`);

/** What it is called in print: its host, and its program. */
export const helperName = ({ host, helper }: LoginHelper): string =>
  `${host === undefined ? 'credentials of all others' : `credentials["${host}"]`}, helper: ${helper}`;

/** Where a host's login came from when it was asked for. */
export interface LoginFound {
  /** In words, as a plan tells where it would look; undefined where there was no login. */
  readonly source: string | undefined;
  /** The helpers that were asked and had none, where there was no login. */
  readonly empty: readonly string[];
}

/** Credentials that remember what came of asking them for the login of `host`; undefined while nobody has. */
export function watched(
  credentials: Config['credentials'],
  host: string,
): { readonly credentials: Config['credentials']; readonly found: () => LoginFound | undefined } {
  let found: LoginFound | undefined;
  if (typeof credentials !== 'function') return { credentials, found: () => found };
  const ask: CredentialProvider = async (asked, context) => {
    const login = await credentials(asked, context);
    if (asked === host) found = foundOf(credentials, host, login);
    return login;
  };
  return { credentials: ask, found: () => found };
}

function foundOf(
  { logins = {}, helpers = [] }: CredentialProvider,
  host: string,
  login: Login | undefined,
): LoginFound {
  const name = host.replace(/^(?:registry-1|index)\.docker\.io$/, 'docker.io');
  const programs = helpers.map(({ credHelpers = {}, credsStore = '' }) => credHelpers[name] ?? credsStore);
  const asked = [...new Set(programs.filter((program) => program !== ''))].map(programOf);
  if (!login) return { source: undefined, empty: asked };
  const key = Object.keys(logins).find((one) => logins[one] === login);
  return { source: key === undefined ? asked.join(' or ') : `credentials["${key}"]`, empty: [] };
}
