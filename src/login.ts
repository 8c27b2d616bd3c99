/** A login. A registryToken is sent as it is; the others are exchanged for one, or sent as Basic. */
export type Login =
  | { readonly username: string; readonly password: string }
  | { readonly identityToken: string }
  | { readonly registryToken: string };

/**
 * The login of a host (`host[:port]`) for a repository, as the host names it; undefined for none. It is called for each
 * request to a host that requires a login, and once more if the host refuses it; the result is not cached: the provider caches and
 * renews what expires.
 */
export interface CredentialProvider {
  (host: string, context: CredentialContext): Promise<Login | undefined> | Login | undefined;
  /** Where it would look, in words, for `plan`; without I/O. */
  readonly describe?: ((host: string, repository: string) => string | undefined) | undefined;
  /** Its logins that are known without a helper, by host[:port][/path]. */
  readonly logins?: Readonly<Record<string, Login>> | undefined;
  /** Programs that it runs for other logins, in this order. */
  readonly helpers?: readonly CredentialHelpers[] | undefined;
}

/** Docker's credential helpers, named without `docker-credential-`. */
export interface CredentialHelpers {
  /** For hosts without a helper of their own. */
  readonly credsStore?: string | undefined;
  /** By host[:port]. An empty name means no helper, not even `credsStore`. */
  readonly credHelpers?: Readonly<Record<string, string>> | undefined;
}

/** What a login is for. */
export interface CredentialContext {
  readonly repository?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The provider's own login, which the host has just refused: called once more, a provider that caches drops it. */
  readonly refused?: Login | undefined;
}
