import type { Config, Login } from '../index.ts';

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
