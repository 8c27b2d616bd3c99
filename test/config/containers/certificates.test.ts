import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readCertificateNames } from '../../../src/config/containers/certificates.ts';
import { readConfigFiles } from '../../../src/config/load.ts';
import { loadFiles } from '../../../src/config/load-files.ts';
import { matchKey } from '../../../src/config/registry-keys.ts';
import { type Config, createClient } from '../../../src/index.ts';
import { registry } from '../../cli/support.ts';
import { certificate } from '../../server/certificate.ts';

let home: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'ocifetch-certs-'));
});
afterEach(() => rm(home, { recursive: true }));

async function write(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    const file = join(home, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
}

/** The configuration of this home's registries.conf and the `certs.d` beside it. */
async function load(files: Readonly<Record<string, string>>) {
  await write({ 'registries.conf': '', ...files });
  return readConfigFiles({ registriesConf: join(home, 'registries.conf') });
}

/** `url authorities` of each host that a registry's repositories are asked at, files below the home directory. */
function asked({ registries = {} }: Config, registry: string, name = 'a/b'): string[] {
  const found = registries[matchKey(new Set(Object.keys(registries)), { registry, name }) ?? ''] ?? {};
  return [...(found.mirrors ?? []), found.origin].flatMap((host) =>
    typeof host === 'object' ? [[host.url, ...(host.tls?.ca ?? [])].join(' ').replaceAll(`${home}/`, '')] : [],
  );
}

const message = async (loading: Promise<unknown>): Promise<string> =>
  loading.then(
    () => 'accepted',
    (error: Error & { code: string }) => `${error.code} ${error.message.replaceAll(home, '')}`,
  );

test('certificates next to registries.conf are for every host: registry, location and mirrors', async () => {
  const { config, files, warnings } = await load({
    'registries.conf': `
[[registry]]
location = "my.example:5000"
[[registry.mirror]]
location = "mirror.example/cache"
[[registry]]
prefix = "named.example/team"
location = "located.example/x"
[[registry]]
location = "bare.example"
`,
    'certs.d/my.example:5000/ca.crt': 'x',
    'certs.d/mirror.example/b.crt': 'x',
    'certs.d/mirror.example/a.crt': 'x',
    'certs.d/located.example/ca.crt': 'x',
    'certs.d/named.example/ca.crt': 'x',
  });
  expect(asked(config, 'my.example:5000')).toEqual([
    'https://mirror.example certs.d/mirror.example/a.crt certs.d/mirror.example/b.crt',
    'https://my.example:5000 certs.d/my.example:5000/ca.crt',
  ]);
  expect(asked(config, 'named.example', 'team/app')).toEqual([
    'https://located.example certs.d/located.example/ca.crt',
  ]);
  expect(asked(config, 'named.example', 'other')).toEqual(['https://named.example certs.d/named.example/ca.crt']);
  expect(asked(config, 'mirror.example')).toHaveLength(1);
  expect(asked(config, 'bare.example')).toEqual(['https://bare.example']);
  expect(files).toContain(join(home, 'certs.d/mirror.example'));
  expect(warnings).toEqual([]);
});

test('a client certificate, a port that is written out, Docker Hub and IPv6 addresses', async () => {
  const { config } = await load({
    'registries.conf': '[[registry]]\nlocation = "a.example:443"\n[[registry]]\nlocation = "a.example"\n',
    'certs.d/a.example:443/client.cert': 'x',
    'certs.d/a.example:443/client.key': 'x',
    'certs.d/docker.io/ca.crt': 'x',
    'certs.d/[::1]:5000/ca.crt': 'x',
  });
  const directory = join(home, 'certs.d/a.example:443');
  const tls = { cert: join(directory, 'client.cert'), key: join(directory, 'client.key') };
  expect(config.registries?.['a.example:443']?.origin).toMatchObject({ tls });
  expect(config.registries?.['a.example']?.origin).not.toHaveProperty('tls');
  expect(asked(config, 'docker.io')).toEqual(['https://registry-1.docker.io certs.d/docker.io/ca.crt']);
  expect(asked(config, '[::1]:5000')).toEqual(['https://[::1]:5000 certs.d/[::1]:5000/ca.crt']);
});

test('a host below a prefix with a wildcard keeps its mirrors, and one that is blocked stays so', async () => {
  const { config } = await load({
    'registries.conf':
      '[[registry]]\nprefix = "*.corp.example"\n[[registry.mirror]]\nlocation = "m.example"\n' +
      '[[registry]]\nprefix = "*.bad.example"\nblocked = true\n' +
      '[[registry]]\nprefix = "*.moved.example"\nlocation = "new.example"\n',
    'certs.d/a.corp.example/ca.crt': 'x',
    'certs.d/a.bad.example/ca.crt': 'x',
    'certs.d/a.moved.example/ca.crt': 'x',
  });
  expect(asked(config, 'a.corp.example')).toEqual([
    'https://m.example',
    'https://a.corp.example certs.d/a.corp.example/ca.crt',
  ]);
  expect(Object.keys(config.registries ?? {})).not.toContain('a.bad.example');
  expect(asked(config, 'a.moved.example')).toEqual(['https://new.example']);
});

test('`insecure` and certificates go together, and http has no use for them', async () => {
  const { config } = await load({
    'registries.conf':
      '[[registry]]\nlocation = "a.example"\ninsecure = true\n[[registry]]\nlocation = "localhost:5000"\ninsecure = true\n',
    'certs.d/a.example/ca.crt': 'x',
    'certs.d/localhost:5000/ca.crt': 'x',
  });
  expect(config.registries?.['a.example']?.origin).toMatchObject({
    tls: { ca: [join(home, 'certs.d/a.example/ca.crt')], insecureSkipVerify: true },
  });
  expect(asked(config, 'localhost:5000')).toEqual(['http://localhost:5000']);
});

test('a mirror with an authority of its own is believed by its certificate beside registries.conf', async () => {
  const { url } = await registry({ tls: certificate });
  const host = new URL(url).host;
  const registriesConf = `[[registry]]\nlocation = "registry.invalid"\n[[registry.mirror]]\nlocation = "${host}"\n`;
  const resolved = async (directory: string): Promise<string> => {
    await rm(join(home, 'certs.d'), { recursive: true, force: true });
    const files = { 'registries.conf': registriesConf, [`certs.d/${directory}/ca.crt`]: certificate.cert };
    const { config } = await load(files);
    const client = createClient({ config, retries: { tries: 1 } });
    const told = await client.resolve('registry.invalid/a').then(
      ({ descriptor }) => descriptor.digest,
      (error: Error & { code: string }) => error.code,
    );
    await client.close();
    return told;
  };
  expect(await resolved(host)).toMatch(/^sha256:/);
  expect(await resolved('registry.invalid')).toBe('UNAVAILABLE');
});

test('a certificate that cannot be used is reported with its directory', async () => {
  const { config } = await load({
    'registries.conf': '[[registry]]\nlocation = "a.example"\n[[registry.mirror]]\nlocation = "m.example"\n',
    'certs.d/m.example/ca.crt': 'words',
  });
  expect(() => createClient({ config })).toThrow(
    `${join(home, 'certs.d/m.example')}: file "${join(home, 'certs.d/m.example/ca.crt')}": not PEM`,
  );
});

test('at the usual places the directory of the user comes first, whole, and needs no registries.conf', async () => {
  await write({ '.config/containers/certs.d/my.example:5000/ca.crt': 'x' });
  const { config, files } = await loadFiles({ discover: true }, { HOME: home });
  expect(asked(config, 'my.example:5000')).toEqual([
    'https://my.example:5000 .config/containers/certs.d/my.example:5000/ca.crt',
  ]);
  expect(files).toContain(join(home, '.config/containers/certs.d/my.example:5000'));
  await write({ 'elsewhere/registries.conf': '', 'elsewhere/certs.d/not.example/ca.crt': 'x' });
  const environment = { HOME: home, CONTAINERS_REGISTRIES_CONF: join(home, 'elsewhere/registries.conf') };
  const named = await loadFiles({ discover: true }, environment);
  expect(asked(named.config, 'my.example:5000')).toHaveLength(1);
  expect(asked(named.config, 'not.example')).toEqual([]);
});

describe('what is wrong in certs.d', () => {
  test.each<[name: string, files: readonly string[], expected: string]>([
    ['a certificate without its key', ['a.example/c.cert'], '/certs.d/a.example/c.cert: found no c.key beside it'],
    ['a key without its certificate', ['a.example/c.key'], '/certs.d/a.example/c.key: found no c.cert beside it'],
    [
      'two directories of one host',
      ['Q.IO/ca.crt', 'q.io/ca.crt'],
      'found "/certs.d/Q.IO" and "/certs.d/q.io", expected one directory for "q.io"',
    ],
  ])('%s is an error', async (_, names, expected) => {
    const files = Object.fromEntries(names.map((name) => [`certs.d/${name}`, 'x']));
    expect(await message(load(files))).toContain(`INVALID_CONFIG Cannot use config directory "/certs.d": ${expected}`);
  });

  test('a directory that is not a host, with certificates in it, is a warning', async () => {
    const { warnings, config } = await load({
      'certs.d/a.example_5000_/ca.crt': 'x',
      'certs.d/notes_/readme': 'x',
      'certs.d/a-file': 'x',
    });
    expect(warnings).toEqual([
      `${join(home, 'certs.d/a.example_5000_')}: not read for registries.conf, "a.example_5000_" is not a host name`,
    ]);
    expect(Object.keys(config.registries ?? {})).toEqual([]);
  });

  test('of several client certificates the first is used, which is reported', () => {
    expect(readCertificateNames(['b.cert', 'a.cert', 'a.key', 'b.key'], '/d')).toEqual({
      tls: { cert: '/d/a.cert', key: '/d/a.key', declaredAt: { cert: '/d', key: '/d' } },
      warnings: ['/d/b.cert: not used, a.cert is the client certificate'],
      problems: [],
    });
  });
});
