import { redactUrl } from '../endpoint.ts';
import type { Login } from '../login.ts';
import { redacted } from '../redaction.ts';
import { checkPlain } from '../text/problems.ts';
import type { Config, HostConfig, RegistryConfig } from './model.ts';
import { isPath } from './pem.ts';

/**
 * A configuration as it may be printed: logins, header values, PEM texts and what only may be one, and the logins of proxies
 * replaced by `***`. Logins that a function gives are those that it lists as `logins`.
 */
export function redactConfig(config: Config): Config {
  checkPlain('redact a configuration', config);
  const { registries = {}, credentials, proxy, ...rest } = config;
  const logins = typeof credentials === 'function' ? credentials.logins : credentials;
  // A URL without a login is shown as it is written.
  const struckUrl = (value: unknown) => (typeof value === 'string' && value.includes('@') ? redactUrl(value) : value);
  const proxies = Object.entries(proxy ?? {}).map(([name, value]) => [name, struckUrl(value)]);
  return {
    ...rest,
    registries: mapValues(registries, struckRegistry),
    ...(logins && { credentials: mapValues(logins, struckLogin) }),
    ...(proxy && { proxy: Object.fromEntries(proxies) }),
  };
}

const mapValues = <Value, Result>(
  record: Readonly<Record<string, Value>>,
  change: (value: Value) => Result,
): Record<string, Result> => Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));

const struckRegistry = ({ mirrors, origin, ...registry }: RegistryConfig): RegistryConfig => ({
  ...registry,
  ...(mirrors && { mirrors: mirrors.map(struckHost) }),
  ...(origin !== undefined && { origin: origin === 'never' ? origin : struckHost(origin) }),
});

function struckHost<Host extends Omit<HostConfig, 'url'>>(whole: Host): Host {
  const { headers, tls } = whole;
  const named = (text: string): string => (isPath(text) ? text : redacted);
  const { ca, cert, key, insecureSkipVerify } = tls ?? {};
  return {
    ...whole,
    ...(headers && { headers: mapValues(headers, () => redacted) }),
    ...(tls && {
      tls: {
        ...(ca && { ca: ca.map(named) }),
        ...(cert !== undefined && { cert: named(cert) }),
        ...(key !== undefined && { key: named(key) }),
        ...(insecureSkipVerify !== undefined && { insecureSkipVerify }),
      },
    }),
  };
}

function struckLogin(login: Login): Login {
  if ('identityToken' in login) return { identityToken: redacted };
  return 'registryToken' in login ? { registryToken: redacted } : { username: login.username, password: redacted };
}
