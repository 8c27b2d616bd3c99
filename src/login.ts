/** How to prove who asks. A registryToken is sent as it is; the others are exchanged for one, or sent as Basic. */
export type Login =
  | { readonly username: string; readonly password: string }
  | { readonly identityToken: string }
  | { readonly registryToken: string };

/** The login of a host (`host[:port]`) for a repository, as the host names it; undefined for none. */
export interface CredentialProvider {
  (host: string, context: CredentialContext): Promise<Login | undefined> | Login | undefined;
  /** Where it would look, in words, for `plan`; it asks nobody. */
  readonly describe?: ((host: string, repository: string) => string | undefined) | undefined;
}

/** What a login is for. */
export interface CredentialContext {
  readonly repository?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}
