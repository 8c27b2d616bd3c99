/** How to prove who asks. A registryToken is sent as it is; the others are exchanged for one, or sent as Basic. */
export type Login =
  | { readonly username: string; readonly password: string }
  | { readonly identityToken: string }
  | { readonly registryToken: string };

/** The login of a host (`host[:port]`) for a repository, as the host names it; undefined for none. */
export type CredentialProvider = (
  host: string,
  context: { readonly repository?: string | undefined; readonly signal?: AbortSignal | undefined },
) => Promise<Login | undefined> | Login | undefined;
