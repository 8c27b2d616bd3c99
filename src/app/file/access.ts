import { type AccessCheck, accessRules, controlAccess, type Handler, sillyCheck } from '../../server/index.ts';
import type { AppContext } from '../config/context.ts';
import type { AppSettings } from '../config/schema.ts';

/** Puts the access check of the file before a handler; without one everybody may do everything. */
export async function withAccess(next: Handler, context: AppContext): Promise<Handler> {
  const check = await checkOf(context);
  if (!check) return next;
  return controlAccess(check, { onError: (error) => context.warn(error) })(next);
}

async function checkOf(context: AppContext): Promise<AccessCheck | undefined> {
  const { auth, access } = context.file.settings;
  if (!auth && access) throw context.file.refuse(['access'], 'found rules without auth, expected a section auth');
  if (!auth) return undefined;
  const allow = access && accessRules(access as Parameters<typeof accessRules>[0]);
  if (auth.silly) return sillyCheck(auth.silly);
  if (auth.htpasswd) {
    const { htpasswd } = await context.load(
      ['auth', 'htpasswd'],
      ['bcryptjs'],
      () => import('../../server/htpasswd/index.ts'),
    );
    const { realm, path } = auth.htpasswd;
    const users = await htpasswd({
      realm,
      path: context.pathOf(path),
      allow,
      onCreated: ({ username, password }) =>
        context.announce(`made ${path} with the user ${username} and the password ${password}`),
    });
    context.onClose(() => users.close());
    return users.check;
  }
  return auth.token && tokensOf(auth.token, context);
}

async function tokensOf(
  token: NonNullable<NonNullable<AppSettings['auth']>['token']>,
  { file, pathOf, load }: AppContext,
): Promise<AccessCheck> {
  const { realm, service, issuer, rootcertbundle, jwks, signingalgorithms, autoredirect, autoredirectpath } = token;
  // What somebody may do is in the token.
  if (file.settings.access) throw file.refuse(['access'], 'found rules, which the token server has with auth.token');
  const { bearerTokens } = await load(['auth', 'token'], ['jose'], () => import('../../server/tokens/index.ts'));
  return bearerTokens({
    ...{ realm, service, issuer },
    rootCertBundle: rootcertbundle === undefined ? undefined : pathOf(rootcertbundle),
    jwks: jwks === undefined || /^https?:\/\//i.test(jwks) ? jwks : pathOf(jwks),
    signingAlgorithms: signingalgorithms,
    autoRedirect: autoredirect,
    autoRedirectPath: autoredirectpath,
  });
}
