import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readAppFile } from '../../../src/app/config/read.ts';
import { durationOf } from '../../../src/app/config/values.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ocifetch-app-'));
});
afterAll(() => rm(folder, { recursive: true }));

let files = 0;
async function read(text: string, environment: Record<string, string> = {}) {
  files += 1;
  const path = join(folder, `${files}.yml`);
  await writeFile(path, text);
  return (await readAppFile(path, environment)).settings;
}

const problemsOf = async (text: string, environment: Record<string, string> = {}): Promise<string> =>
  read(text, environment).then(
    () => 'none',
    (error: Error) => error.message,
  );

const least = 'version: 0.1\nstorage:\n  inmemory:\n';

test('the least file has a version and a storage, and a driver may have no value', async () => {
  expect(await read(least)).toMatchObject({ version: 0.1, storage: { inmemory: {} } });
  expect(await problemsOf('storage:\n  inmemory:\n')).toContain('version: nothing found, expected 0.1');
  expect(await problemsOf('version: 0.1\n')).toContain('expected storage, or registry');
});

test.each([
  ['version: 0.2\nstorage:\n  inmemory:\n', /:1:1: version: found 0\.2, expected 0\.1/],
  [
    `${least}  filesystem:\n    rootdirectory: /a\n`,
    /storage: found an object, expected one of filesystem, inmemory and s3/,
  ],
  [`${least}  delte:\n    enabled: true\n`, /:4:3: storage\.delte: unknown key "delte", did you mean "delete"\?/],
  [
    `${least}  gcs:\n    bucket: b\n`,
    /:4:3: storage\.gcs: found an object, not supported: use filesystem, inmemory or s3/,
  ],
  [`${least}loglevel: debug\n`, /:4:1: loglevel: found "debug", not supported: write it as log\.level/],
  [`${least}http:\n  addr: nowhere\n`, /:5:3: http\.addr: found "nowhere", expected an address/],
  [`${least}http:\n  draintimeout: soon\n`, /http\.draintimeout: found "soon", expected a duration/],
  [`${least}http:\n  http2:\n    disabled: false\n`, /http\.http2\.disabled: found false, not supported/],
  [`${least}  cache:\n    blobdescriptor: redis\n`, /storage\.cache\.blobdescriptor: .*expected a section redis/],
  [`${least}redis:\n  password: 12\n`, /redis\.password: found a value that is not shown, expected a text/],
  [`${least}auth:\n  htpasswd:\n    realm: r\n`, /auth\.htpasswd\.path: nothing found, expected a text/],
  [
    `${least}auth:\n  silly:\n    realm: r\n    service: s\n  htpasswd:\n    realm: r\n    path: p\n`,
    /auth: .*expected one of/,
  ],
  [
    `${least}notifications:\n  endpoints:\n    - name: a\n      url: here\n`,
    /endpoints\[0\]\.url: found "here", expected a URL/,
  ],
  [`${least}policy:\n  repository: {}\n`, /policy: .*not supported: use access/],
  [`${least}version: 0.1\n`, /duplicate key "version", first at 1:1/],
])('a wrong file is refused with the place: %j', async (text, expected) => {
  expect(await problemsOf(text)).toMatch(expected);
});

test('all problems of a file are reported together', async () => {
  const found = await problemsOf('version: 1\nstorage:\n  inmemory:\n  azure: {}\nhttp:\n  adr: x\n');
  for (const key of ['version', 'storage.azure', 'http.adr']) expect(found).toContain(key);
});

test('a registry may be made of nested parts, each with one name', async () => {
  const registry = { union: { first: { immutable: { memory: {} } }, second: { readOnly: { directory: 'd' } } } };
  expect(await read(`version: 0.1\nregistry: ${JSON.stringify(registry)}\n`)).toMatchObject({ registry });
  expect(await problemsOf('version: 0.1\nregistry:\n  memory:\n  directory: d\n')).toContain('expected exactly one of');
  const deep = 'version: 0.1\nregistry:\n  readOnly:\n    immutable:\n      memry: {}\n';
  expect(await problemsOf(deep)).toContain(
    'registry.readOnly.immutable.memry: unknown key "memry", did you mean "memory"?',
  );
});

test('variables of the environment set keys, in any letter case and as items of lists', async () => {
  const environment = {
    OCIFETCH_HTTP_ADDR: '127.0.0.1:5001',
    OCIFETCH_STORAGE_DELETE_ENABLED: 'true',
    OCIFETCH_HTTP_HEADERS: '{"X-One": ["a"]}',
    OCIFETCH_NOTIFICATIONS_ENDPOINTS_0_NAME: 'first',
    OCIFETCH_NOTIFICATIONS_ENDPOINTS_0_URL: 'https://audit.test/',
    OCIFETCH_CONFIG: '/somewhere/else',
    OTHER_THING: 'x',
  };
  expect(await read(least, environment)).toMatchObject({
    http: { addr: { host: '127.0.0.1', port: 5001 }, headers: { 'X-One': ['a'] } },
    storage: { delete: { enabled: true } },
    notifications: { endpoints: [{ name: 'first', url: 'https://audit.test/' }] },
  });
  const wrong = await problemsOf(least, { OCIFETCH_HTTP_ADDR: 'nowhere', OCIFETCH_HTP_ADDR: 'x' });
  expect(wrong).toContain(
    'http.addr: found "nowhere", expected an address, as :5000 or 127.0.0.1:5000 (set by OCIFETCH_HTTP_ADDR)',
  );
  expect(wrong).toContain('found OCIFETCH_HTP_ADDR in the environment, which sets no known key');
});

test('the variables of distribution are understood, ours count before them, and those of others are left alone', async () => {
  const environment = {
    REGISTRY_STORAGE: 'filesystem',
    REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: '/data',
    REGISTRY_AUTH: 'htpasswd',
    REGISTRY_AUTH_HTPASSWD_REALM: 'Registry Realm',
    REGISTRY_AUTH_HTPASSWD_PATH: '/auth/htpasswd',
    REGISTRY_LOG_LEVEL: 'debug',
    OCIFETCH_LOG_LEVEL: 'warn',
    REGISTRY_URL: 'https://registry.example',
    REGISTRY_PASSWORD: 'of another program',
    REGISTRY_AUTH_FILE: '/run/containers/auth.json',
  };
  const settings = await read(least, environment);
  expect(settings).toMatchObject({
    storage: { filesystem: { rootdirectory: '/data' } },
    auth: { htpasswd: { realm: 'Registry Realm', path: '/auth/htpasswd' } },
    log: { level: 'warn' },
  });
  expect(settings.storage).not.toHaveProperty('inmemory');
  const wrong = await problemsOf(least, { REGISTRY_STORAGE_S3_ENCRYPT: 'true', REGISTRY_HTTP_ADR: ':1' });
  expect(wrong).toContain('not supported: the bucket encrypts by its own rule (set by REGISTRY_STORAGE_S3_ENCRYPT)');
  expect(wrong).toContain('found REGISTRY_HTTP_ADR in the environment, which sets no known key');
  expect(await problemsOf(least, { REGISTRY_AUTH: 'ldap' })).toContain('unknown key "ldap"');
  expect(await problemsOf(least, { REGISTRY_AUTH: 'dXNlcjpjYW5hcnk=' })).not.toContain('dXNlcjpjYW5hcnk');
});

test('durations are as Go writes them', () => {
  const durations = { '1h30m': 5_400_000, '500ms': 500, '1.5s': 1_500, '0': 0, '10us': 0.01, '168h': 604_800_000 };
  for (const [text, expected] of Object.entries(durations)) expect(durationOf(text)).toBeCloseTo(expected, 6);
  for (const text of ['', '5', '5 s', '-5s', '1d', 's', '1h'.repeat(50)]) expect(durationOf(text)).toBeUndefined();
});

/** What the files that distribution, and Debian's package of it, come with say, in other words. */
const shipped = {
  'a cache in memory and health, as the packaged file': {
    log: { fields: { service: 'registry' } },
    storage: {
      cache: { blobdescriptor: 'inmemory' },
      filesystem: { rootdirectory: '/var/lib/registry' },
      delete: { enabled: true },
      tag: { concurrencylimit: 8 },
    },
    http: { addr: ':5000', headers: { 'X-Content-Type-Options': ['nosniff'] } },
    auth: { htpasswd: { realm: 'basic-realm', path: '/etc/registry' } },
    health: { storagedriver: { enabled: true, interval: '10s', threshold: 3 } },
  },
  'a cache in Redis and endpoints that are disabled, as the file of a cache': {
    log: { level: 'debug', fields: { service: 'registry', environment: 'development' } },
    storage: {
      cache: { blobdescriptor: 'redis' },
      filesystem: { rootdirectory: '/var/lib/registry-cache' },
      maintenance: { uploadpurging: { enabled: false } },
    },
    http: { addr: ':5000', secret: 'for development', debug: { addr: 'localhost:5001' } },
    redis: {
      addrs: ['localhost:6379'],
      ...{ maxidleconns: 16, poolsize: 64, connmaxidletime: '300s' },
      ...{ dialtimeout: '10ms', readtimeout: '10ms', writetimeout: '10ms' },
    },
    notifications: {
      events: { includereferences: true },
      endpoints: [
        {
          name: 'local-8082',
          url: 'http://localhost:5003/callback',
          headers: { Authorization: ['Bearer an-example'] },
          ...{ timeout: '1s', threshold: 10, backoff: '1s', disabled: true },
        },
      ],
    },
    proxy: { remoteurl: 'https://registry-1.docker.io', username: 'username', password: 'password' },
  },
  'metrics at an address of their own, as the file for development': {
    storage: { inmemory: null, delete: { enabled: true } },
    http: { addr: ':5000', debug: { addr: ':5001', prometheus: { enabled: true, path: '/metrics' } } },
  },
};

test.each(Object.entries(shipped))('a file of distribution is read whole: %s', async (_, sections) => {
  expect(await problemsOf(JSON.stringify({ version: 0.1, ...sections }))).toBe('none');
});

test('each setting of distribution that is not supported is refused by its name, none is ignored', async () => {
  const found = await problemsOf(
    JSON.stringify({
      version: 0.1,
      log: { hooks: [{ type: 'mail', disabled: true }] },
      reporting: { bugsnag: { apikey: 'x' } },
      storage: { swift: { container: 'c' }, cache: { blobdescriptor: 'memcached' } },
      middleware: { repository: [{ name: 'x' }] },
      http: { net: 'unix', tls: { letsencrypt: { cachefile: 'f' }, ciphersuites: ['a'] } },
      redis: { addr: 'a:1', cluster: {}, sentinel: {} },
      policy: { repository: { classes: ['image'] } },
      compatibility: { schema1: { enabled: true } },
    }),
  );
  const keys = ['log.hooks', 'reporting', 'storage.swift', 'storage.cache.blobdescriptor', 'middleware.repository'];
  const more = ['http.net', 'http.tls.letsencrypt', 'http.tls.ciphersuites', 'redis.cluster', 'redis.sentinel'];
  for (const key of [...keys, ...more, 'policy', 'compatibility'])
    expect(found).toMatch(new RegExp(`:1:\\d+: ${key}: `));
});
