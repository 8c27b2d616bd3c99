import type { FileNames } from './config-files.ts';
import type { Examined } from './examine.ts';

/** What a setting is called in the file that a host is declared in. */
export interface Settings {
  readonly ca: string;
  readonly skip: string;
  readonly url: string;
  readonly login: string;
  /** A certificate of one's own. */
  readonly client: string;
}

const ownSettings: Settings = {
  ca: 'tls.ca',
  skip: 'tls.insecureSkipVerify: true',
  url: 'url',
  login: 'credentials',
  client: 'tls.cert and tls.key',
};

/** By how the name of the file ends. */
const settingsOfFiles: readonly (readonly [RegExp, Settings])[] = [
  [
    /hosts\.toml$/,
    { ca: 'ca', skip: 'skip_verify = true', url: '[host."…"]', login: 'docker login', client: 'client' },
  ],
  [
    /registries\.ya?ml$/,
    {
      ca: 'configs."HOST".tls.ca_file',
      skip: 'configs."HOST".tls.insecure_skip_verify: true',
      url: 'endpoint',
      login: 'configs."HOST".auth',
      client: 'cert_file and key_file of configs."HOST".tls',
    },
  ],
  [
    /\.conf$/,
    {
      ca: 'certs.d/HOST/ca.crt',
      skip: 'insecure = true',
      url: 'location',
      login: 'podman login',
      client: 'client.cert and client.key in certs.d/HOST',
    },
  ],
  [
    /\.regctl.*\.json$/,
    {
      ca: 'regcert',
      skip: 'tls: insecure',
      url: 'hostname',
      login: 'regctl registry login',
      client: 'clientCert and clientKey',
    },
  ],
];

/** What is to be changed, and where; of a host that no file names, what is to be written. */
export function settingsOf({ endpoint: { declaredAt, url } }: Examined, names: FileNames) {
  const host = new URL(url).host.replace(/^registry-1\.docker\.io$/, 'docker.io');
  if (declaredAt === undefined) {
    const tls = `registries["${host}"].origin.tls`;
    const settings = {
      ...ownSettings,
      ca: `${tls}.ca`,
      skip: `${tls}.insecureSkipVerify: true`,
      url: 'the reference',
      client: `${tls}.cert and key`,
    };
    return { settings, where: "in ocifetch's own file" };
  }
  const file = declaredAt.replace(/(?::\d+)+$/, '');
  const found = settingsOfFiles.find(([name]) => name.test(names.get(file) ?? file))?.[1] ?? ownSettings;
  const where = `at ${declaredAt}`;
  const named = (setting: string): string => setting.replace('HOST', host);
  return {
    settings: {
      ca: named(found.ca),
      skip: named(found.skip),
      url: `${found.url} ${where}`,
      login: named(found.login),
      client: named(found.client),
    },
    where,
  };
}
