/** How to prove who asks. A registryToken is sent as it is; the others are exchanged for one, or sent as Basic. */
export type Login =
  | { readonly username: string; readonly password: string }
  | { readonly identityToken: string }
  | { readonly registryToken: string };

/**
 * The login of a host (`host[:port]`) for a repository, as the host names it; undefined for none. It is asked again for each
 * request to a host that wants a login, and its answer is not kept: what expires is its own to renew, and to keep till then.
 */
export interface CredentialProvider {
  (host: string, context: CredentialContext): Promise<Login | undefined> | Login | undefined;
  /** Where it would look, in words, for `plan`; it asks nobody. */
  readonly describe?: ((host: string, repository: string) => string | undefined) | undefined;
  /** Those of its logins that are written down, by host[:port][/path]. */
  readonly logins?: Readonly<Record<string, Login>> | undefined;
  /** Programs that it asks for others, in this order. */
  readonly helpers?: readonly CredentialHelpers[] | undefined;
}

/** Docker's credential helpers, named without their `docker-credential-`. */
export interface CredentialHelpers {
  /** Asked for each host that has no helper of its own. */
  readonly credsStore?: string | undefined;
  /** By host[:port]. An empty name is no helper, and not `credsStore` either. */
  readonly credHelpers?: Readonly<Record<string, string>> | undefined;
}

/** What a login is for. */
export interface CredentialContext {
  readonly repository?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}
