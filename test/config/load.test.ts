import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import os, { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { credentialsFor, loginFrom } from '../../src/config/credentials.ts';
import { loadConfig, loadConfigText, readConfigFiles } from '../../src/config/load.ts';
import { loadFiles } from '../../src/config/load-files.ts';
import { usualPlaces } from '../../src/config/usual-places.ts';

let home: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'ocifetch-config-'));
});
afterEach(() => rm(home, { recursive: true }));

async function write(path: string, text: string): Promise<string> {
  const file = join(home, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
  return file;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const mirrorsOf = (host: string): string => `{"registries":{"docker.io":{"mirrors":[{"url":"https://${host}"}]}}}`;

test('the first file that names a registry has it whole, and logins are gathered from all', async () => {
  const options = {
    file: await write('own.json', mirrorsOf('own.example')),
    registriesYaml: await write(
      'registries.yaml',
      'mirrors:\n  docker.io:\n    endpoint: ["https://k3s.example"]\n  quay.io:\n    endpoint: ["https://quay-mirror.example"]\n' +
        'configs:\n  k3s.example:\n    auth: {username: k3s, password: one}\n',
    ),
    dockerConfig: await write(
      'config.json',
      JSON.stringify({
        auths: { 'k3s.example': { auth: base64('docker:two') }, 'ghcr.io': { auth: base64('joe:three') } },
      }),
    ),
  };
  const { config, files, warnings } = await readConfigFiles(options);
  expect(config.registries?.['docker.io']?.mirrors?.map(({ url }) => url)).toEqual(['https://own.example']);
  expect(config.registries?.['quay.io']?.mirrors?.map(({ url }) => url)).toEqual(['https://quay-mirror.example']);
  const login = loginFrom(config.credentials);
  expect(await login('k3s.example', {})).toEqual({ username: 'k3s', password: 'one' });
  expect(await login('ghcr.io', {})).toEqual({ username: 'joe', password: 'three' });
  expect(files).toEqual([options.file, options.registriesYaml, options.dockerConfig]);
  expect(warnings).toEqual([]);
});

test('a certs.d is read directory by directory, `_default` as the rest', async () => {
  await write('certs.d/docker.io/hosts.toml', '[host."https://mirror.example"]\n');
  await write('certs.d/registry.example_5000_/hosts.toml', 'server = "https://other.example"\n');
  await write('certs.d/_default/hosts.toml', '[host."https://all.example"]\n');
  await write('certs.d/certified.example/ca.crt', '-----BEGIN CERTIFICATE-----\n');
  const config = await loadConfig({ hostsDirectory: join(home, 'certs.d') });
  expect(Object.keys(config.registries ?? {}).sort()).toEqual([
    '*',
    'certified.example',
    'docker.io',
    'registry.example:5000',
  ]);
  expect(config.registries?.['docker.io']?.declaredAt).toBe(`${join(home, 'certs.d/docker.io/hosts.toml')}:1`);
});

test('an empty directory of a registry hides `_default`, as in containerd', async () => {
  await write('certs.d/_default/hosts.toml', '[host."https://all.example"]\n');
  await write('certs.d/registry.example_5000_/hosts.toml', '');
  await write('certs.d/empty.example/readme', '');
  await write('certs.d/a-file', '');
  const { registries } = await loadConfig({ hostsDirectory: join(home, 'certs.d') });
  expect(Object.keys(registries ?? {}).sort()).toEqual(['*', 'empty.example', 'registry.example:5000']);
  expect(registries?.['empty.example']).toEqual({ declaredAt: join(home, 'certs.d/empty.example') });
  expect(registries?.['registry.example:5000']).toEqual({ declaredAt: join(home, 'certs.d/registry.example_5000_') });
});

test('registries.conf is read with its directory of drop-ins', async () => {
  const registriesConf = await write('registries.conf', 'unqualified-search-registries = ["quay.io"]\n');
  await write('registries.conf.d/10-a.conf', '[[registry]]\nlocation = "a.example"\nblocked = true\n');
  await write('registries.conf.d/ignored.txt', 'no toml');
  const { config, files } = await readConfigFiles({ registriesConf });
  expect(config.registries?.['a.example']?.blocked).toBe(true);
  expect(config.shortNames?.search).toEqual(['quay.io']);
  expect(files).toHaveLength(2);
});

test('a file that is named must be there, one of a usual place need not', async () => {
  const missing = join(home, 'none.json');
  await expect(loadConfig({ file: missing })).rejects.toMatchObject({
    code: 'INVALID_CONFIG',
    message: expect.stringContaining(`Cannot read config file "${missing}"`),
  });
  const environment = { HOME: home, DOCKER_CONFIG: join(home, 'nowhere'), XDG_CONFIG_HOME: home };
  const { files } = await loadFiles({ discover: true }, environment);
  expect(files.filter((file) => file.startsWith(home))).toEqual([]);
  await expect(loadFiles({ discover: true }, { ...environment, REGISTRY_AUTH_FILE: missing })).rejects.toMatchObject({
    code: 'INVALID_CONFIG',
  });
});

test('the usual places are found by their variables, and proxies in the environment', async () => {
  await write('.docker/config.json', JSON.stringify({ auths: { 'ghcr.io': { auth: base64('joe:pass') } } }));
  await write(
    '.config/ocifetch/config.yaml',
    'registries:\n  docker.io:\n    mirrors:\n      - url: https://own.example\n',
  );
  const environment = { HOME: home, https_proxy: 'http://proxy.example:3128', NO_PROXY: 'ghcr.io' };
  const { config, files } = await loadFiles({ discover: true }, environment);
  expect(files.filter((file) => file.startsWith(home))).toEqual([
    join(home, '.config/ocifetch/config.yaml'),
    join(home, '.docker/config.json'),
  ]);
  expect(config.proxy).toEqual({ https: 'http://proxy.example:3128', no: ['ghcr.io'] });
});

test('settings without a meaning are reported, and a problem of one file fails the whole', async () => {
  const registriesYaml = await write('registries.yaml', 'mirrors:\n  docker.io:\n    endpoints: []\n');
  await expect(loadConfig({ registriesYaml })).rejects.toMatchObject({
    code: 'INVALID_CONFIG',
    message: expect.stringContaining(`${registriesYaml}:3`),
  });
});

test('the environment has proxies also beside a file that is named, each scheme its own', async () => {
  const dockerConfig = await write('config.json', '{"proxies":{"default":{"httpProxy":"http://docker.example:1"}}}');
  const environment = { HTTP_PROXY: 'http://plain.example:2', HTTPS_PROXY: 'http://secure.example:3' };
  const { config } = await loadFiles({ dockerConfig }, environment);
  expect(config.proxy).toEqual({ http: 'http://docker.example:1', https: 'http://secure.example:3' });
  const { config: alone } = await loadFiles({ dockerConfig, discover: false }, environment);
  expect(alone.proxy).toEqual({ http: 'http://docker.example:1' });
});

test('a proxy of the environment that cannot be used is reported with its variable, without its login', async () => {
  const loading = loadFiles({ discover: true }, { HOME: home, HTTPS_PROXY: 'socks5://joe:pass@corp:1' });
  await expect(loading).rejects.toMatchObject({
    code: 'INVALID_CONFIG',
    message:
      'Cannot use the environment\'s HTTPS_PROXY: found "socks5://***@corp:1", SOCKS proxies are not supported, expected an http or https one',
  });
  // Of no use where each scheme has its own.
  const both = { HOME: home, HTTPS_PROXY: 'a:1', HTTP_PROXY: 'b:2', ALL_PROXY: 'socks5://corp:1' };
  const { config } = await loadFiles({ discover: true }, both);
  expect(config.proxy).toEqual({ https: 'http://a:1', http: 'http://b:2' });
});

test('variables that are empty or relative name no place', async () => {
  const environment = {
    HOME: home,
    XDG_CONFIG_HOME: '',
    DOCKER_CONFIG: '',
    XDG_RUNTIME_DIR: 'here',
    OCIFETCH_CONFIG: '',
  };
  await write('.docker/config.json', JSON.stringify({ auths: { 'ghcr.io': { auth: base64('joe:pass') } } }));
  const { files } = await loadFiles({ discover: true }, environment);
  expect(files.filter((file) => !file.startsWith('/etc/'))).toEqual([join(home, '.docker/config.json')]);
});

test('without an absolute home there are no places of the user, least of all in the current directory', async () => {
  const nobody = { HOME: undefined, XDG_CONFIG_HOME: undefined };
  await write('.docker/config.json', JSON.stringify({ auths: { 'ghcr.io': { auth: base64('joe:pass') } } }));
  await write('work/.docker/config.json', JSON.stringify({ credsStore: 'evil' }));
  const before = process.cwd();
  process.chdir(home);
  try {
    for (const HOME of ['', '.', 'work', './work', '~']) {
      const environment = { ...nobody, HOME, XDG_CONFIG_HOME: 'work', XDG_RUNTIME_DIR: '.' };
      const places = Object.values(usualPlaces(environment)).flat();
      const paths = places.flatMap(({ path, directories = [], certificates = [] }) => [
        path,
        ...directories,
        ...certificates,
      ]);
      expect(paths.filter((path) => !path.startsWith('/etc/'))).toEqual([]);
      const { config, files, homeless } = await loadFiles({ discover: true }, environment);
      expect([config.credentials ?? {}, files.filter((file) => file.startsWith(home))]).toEqual([{}, []]);
      expect(homeless).toContain(`HOME is "${HOME}"`);
    }
  } finally {
    process.chdir(before);
  }
});

test('a user that the system does not know has files by XDG_CONFIG_HOME and by the variables that name one', async () => {
  const unknown = vi.spyOn(os, 'homedir').mockImplementation(() => {
    throw Object.assign(new Error('A system error occurred: uv_os_homedir returned ENOENT'), {
      code: 'ERR_SYSTEM_ERROR',
    });
  });
  syncBuiltinESMExports();
  try {
    const { homeless, files } = await loadFiles({ discover: true }, {});
    expect(homeless).toBe('HOME is not set, and the system does not know this user');
    expect(files.filter((file) => !file.startsWith('/etc/'))).toEqual([]);
    await write('auth.json', '{}');
    await write('ocifetch/config.json', '{}');
    const found = await loadFiles(
      { discover: true },
      { XDG_CONFIG_HOME: home, REGISTRY_AUTH_FILE: join(home, 'auth.json') },
    );
    expect(found.files.filter((file) => file.startsWith(home))).toEqual([
      join(home, 'ocifetch/config.json'),
      join(home, 'auth.json'),
    ]);
    expect((await loadFiles({ discover: false }, {})).homeless).toBeUndefined();
  } finally {
    unknown.mockRestore();
    syncBuiltinESMExports();
  }
});

test('a variable that names a file, or DOCKER_CONFIG, may be relative to the current directory, as in their tools', async () => {
  await write('docker/config.json', '{}');
  await write('auth.json', '{}');
  const before = process.cwd();
  process.chdir(home);
  try {
    const environment = { HOME: join(home, 'other'), DOCKER_CONFIG: 'docker', REGISTRY_AUTH_FILE: './auth.json' };
    const { files } = await loadFiles({ discover: true }, environment);
    expect(files.filter((file) => !file.startsWith('/etc/'))).toEqual([
      resolve('auth.json'),
      resolve('docker/config.json'),
    ]);
  } finally {
    process.chdir(before);
  }
});

test('a relative path in a current directory that was removed is a clear error; an absolute one is read', async () => {
  const file = await write('config.json', '{}');
  const before = process.cwd();
  const gone = await mkdtemp(join(tmpdir(), 'ocifetch-gone-'));
  process.chdir(gone);
  try {
    await rm(gone, { recursive: true });
    const message = 'Cannot find "config.json": the current directory no longer exists';
    await expect(loadConfig({ file: 'config.json' })).rejects.toMatchObject({ code: 'STORE_ERROR', message });
    await expect(loadConfigText('config.json')).rejects.toMatchObject({ code: 'STORE_ERROR', message });
    expect((await readConfigFiles({ file })).files).toEqual([file]);
  } finally {
    process.chdir(before);
  }
});

test('drop-ins of the user add to those of the system', () => {
  const { registriesConf } = usualPlaces({ HOME: home });
  const user = join(home, '.config/containers/registries.conf');
  const system = '/etc/containers/registries.conf';
  const certificates = [join(home, '.config/containers/certs.d'), '/etc/containers/certs.d', '/etc/docker/certs.d'];
  expect(registriesConf).toEqual([
    { path: user, named: false, needsFile: true, certificates },
    { path: system, named: false, directories: [`${system}.d`, `${user}.d`], certificates },
  ]);
});

test('the helper of a host comes before what the same file has written down, and a file before both that wins', async () => {
  const config = JSON.stringify({
    auths: { 'quay.io': { auth: base64('stale:one') }, 'ghcr.io': { auth: base64('kept:two') } },
    credHelpers: { 'quay.io': 'not-there' },
  });
  const dockerConfig = await write('config.json', config);
  const { config: docker } = await readConfigFiles({ dockerConfig, discover: false });
  const login = loginFrom(docker.credentials);
  await expect(login('quay.io', {})).rejects.toMatchObject({ code: 'INVALID_CONFIG' });
  expect(await login('ghcr.io', {})).toEqual({ username: 'kept', password: 'two' });
  expect(credentialsFor(docker.credentials, 'quay.io', 'a')).toBe('docker-credential-not-there');
  expect(credentialsFor(docker.credentials, 'ghcr.io', 'a')).toBe('credentials["ghcr.io"]');
  const file = await write('own.json', '{"credentials":{"quay.io":{"username":"own","password":"three"}}}');
  const { config: both } = await readConfigFiles({ file, dockerConfig, discover: false });
  expect(await loginFrom(both.credentials)('quay.io', {})).toEqual({ username: 'own', password: 'three' });
});

test("k3s' off switch is for registries.yaml alone, and does not keep the usual places from being looked at", async () => {
  const yaml = 'mirrors:\n  docker.io:\n    endpoint: ["https://k3s.example"]\n';
  const registriesYaml = await write('registries.yaml', yaml);
  const file = await write('own.json', mirrorsOf('own.example').replace('docker.io', 'quay.io'));
  const read = async (defaultEndpoint?: boolean) =>
    (await loadConfig({ registriesYaml, file, defaultEndpoint })).registries ?? {};
  expect((await read(false))['docker.io']?.origin).toBe('never');
  expect((await read(false))['quay.io']).not.toHaveProperty('origin');
  for (const on of [true, undefined]) expect((await read(on))['docker.io']).not.toHaveProperty('origin');

  const usual = { OCIFETCH_CONFIG: file };
  expect((await loadFiles({ defaultEndpoint: false }, usual)).files).toContain(file);
});

test('certificates in `_default` are for every registry that has no directory', async () => {
  await write('certs.d/_default/ca.crt', 'x');
  await write('certs.d/registry.example/hosts.toml', '[host."https://m.example"]\n');
  const { config, warnings } = await readConfigFiles({ hostsDirectory: join(home, 'certs.d') });
  expect(warnings).toEqual([]);
  expect(config.registries?.['*']?.origin).toMatchObject({ tls: { ca: [join(home, 'certs.d/_default/ca.crt')] } });
  expect(config.registries?.['registry.example']).not.toHaveProperty('origin');
});

test('the problems of all files are reported at once', async () => {
  await write('certs.d/a.example/hosts.toml', 'server = 1\n');
  await write('certs.d/b.example/hosts.toml', 'typo = 1\n');
  const options = {
    hostsDirectory: join(home, 'certs.d'),
    registriesYaml: await write('registries.yaml', 'mirror: {}\n'),
    registriesConf: await write('registries.conf', 'typo = 1\n'),
  };
  const told = await loadConfig(options).catch((error: Error) => error.message.split('\n'));
  for (const place of [
    'a.example/hosts.toml:1:',
    'b.example/hosts.toml:1:',
    'registries.yaml:1:',
    'registries.conf:1:',
  ]) {
    expect([place, Array.isArray(told) && told.filter((line) => line.includes(place)).length]).toEqual([place, 1]);
  }
});
