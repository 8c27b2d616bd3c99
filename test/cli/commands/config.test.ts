import { readFile, stat } from 'node:fs/promises';
import { createResolver, loadConfig } from 'ocifetch';
import { expect, test, vi } from 'vitest';
import { folder, run } from '../support.ts';

const wrongToml = `server = "registry.test"

[host."https://mirror.test"]
capabilties = ["pull"]
skip_verify = "yes"
`;

test('every problem of every file is reported with its line and column, and the exit code is 1', async () => {
  const { path, plain } = await folder({
    'certs.d/registry.test/hosts.toml': wrongToml,
    'registries.yaml': 'mirrors:\n  registry.test:\n    endpoint:\n      - https://mirror.test\n',
  });
  const args = ['config', 'check', path('certs.d/registry.test/hosts.toml'), path('registries.yaml')];
  const { code, out, err } = await run(args);
  const file = '/dir/certs.d/registry.test/hosts.toml';
  expect(plain(out)).toEqual([
    `error: ${file}:4:1: host["https://mirror.test"].capabilties: unknown key "capabilties", did you mean "capabilities"?`,
    `error: ${file}:5:15: host["https://mirror.test"].skip_verify: found the text "yes", expected true or false`,
    `wrong: ${file} (hosts.toml): 2 problems, 0 warnings`,
    'ok: /dir/registries.yaml (registries.yaml): 0 problems, 0 warnings',
  ]);
  expect({ code, err }).toEqual({ code: 1, err: [] });
});

test('the problems of all files are reported, also of files that flags name, and by other commands', async () => {
  const { path, plain } = await folder({
    'certs.d/a.test/hosts.toml': wrongToml,
    'certs.d/b.test/hosts.toml': 'servr = "https://b.test"\n',
    'certs.d/c.test/hosts.toml': 'server = "https://c.test"\n',
    'config.json': '{\n"credsStore": 1,\n"auths": {"a.b": 7}\n}',
    'regctl.json': '{"hosts": {"r.test": {"mirrors": ["m.test"],}}}',
  });
  const files = ['--hosts-dir', path('certs.d'), '--docker-config', path('config.json')];
  const args = [...files, '--regctl-config', path('regctl.json')];
  const problems = [
    '/dir/certs.d/a.test/hosts.toml:4:1: host["https://mirror.test"].capabilties: unknown key "capabilties", did you mean "capabilities"?',
    '/dir/certs.d/a.test/hosts.toml:5:15: host["https://mirror.test"].skip_verify: found the text "yes", expected true or false',
    '/dir/certs.d/b.test/hosts.toml:1:1: servr: unknown key "servr", did you mean "server"?',
    '/dir/regctl.json:1:44: not valid JSON, found a comma before "}", expected no comma',
    '/dir/config.json:2:15: credsStore: found the number 1, expected a text',
    '/dir/config.json:3:18: auths["a.b"]: found the number 7, expected a table',
  ];
  const { code, out, err } = await run(['config', 'check', ...args]);
  expect(plain(out)).toEqual([
    ...problems.map((text) => `error: ${text}`),
    'wrong: configuration: 6 problems, 0 warnings',
  ]);
  expect({ code, err }).toEqual({ code: 1, err: [] });
  const { err: told } = await run(['plan', ...args, 'a.test/b']);
  expect(plain(told).slice(0, -1)).toEqual([
    'ocifetch: Cannot use 4 config files: 6 problems',
    ...problems.map((text) => `  ${text}`),
  ]);
});

test('a setting without effect is a warning, and the exit code is 0', async () => {
  const { path, plain } = await folder({ 'config.json': '{\n  "auths": {},\n  "HttpHeaders": { "X": "y" }\n}' });
  const { code, out } = await run(['config', 'check', path('config.json')]);
  expect(plain(out)).toEqual([
    expect.stringMatching(/^warning: \/dir\/config\.json:3: HttpHeaders: not used, Docker sends them to its daemon; /),
    'ok: /dir/config.json (docker): 0 problems, 1 warning',
  ]);
  expect(code).toBe(0);
});

/** A file's name and text, and what kind it is taken for. */
const kinds: readonly [name: string, text: string, kind: string][] = [
  ['hosts.toml', '', 'hosts.toml'],
  ['mirror.toml', '[host."https://m.test"]', 'hosts.toml'],
  ['registries.yaml', '{}', 'registries.yaml'],
  ['k3s.yml', 'mirrors: {}', 'registries.yaml'],
  ['registries.conf', '', 'registries.conf'],
  ['registries.toml', '[[registry]]\nlocation = "r.test"', 'registries.conf'],
  ['auth.json', '{}', 'docker'],
  ['config.json', '{ "auths": {} }', 'docker'],
  ['.regctl/config.json', '{}', 'regctl'],
  ['config.json', '{ "version": 1, "hosts": {} }', 'regctl'],
  ['config.json', '{ "registries": {} }', 'ocifetch'],
  ['own.yaml', 'registries: {}', 'ocifetch'],
  ['own.toml', '[registries."r.test"]', 'ocifetch'],
];

test.each(kinds)('the kind of %s with %j is %s', async (name, text, kind) => {
  const { path } = await folder({ [name]: text });
  const { out } = await run(['config', 'check', '--json', path(name)]);
  expect(JSON.parse(out.join(''))).toMatchObject({ files: [{ kind, problems: [] }] });
});

test('a missing file, or one of an unknown kind, is a problem besides those of the others', async () => {
  const { path, plain } = await folder({
    'file.txt': 'text',
    'registries.yaml': '{}',
    'certs.d/r.test/hosts.toml': '',
  });
  const names = ['file.txt', 'none.yaml', 'certs.d', 'registries.yaml'];
  const { code, out } = await run(['config', 'check', ...names.map(path)]);
  const unknown =
    'expected its kind to be named: hosts.toml, registries.yaml, registries.conf, docker, regctl, ocifetch';
  expect(plain(out)).toEqual([
    `error: Cannot read config file "/dir/file.txt": neither its name nor its content shows its kind, ${unknown}`,
    'wrong: /dir/file.txt: 1 problem, 0 warnings',
    'error: Cannot read config file "/dir/none.yaml": no such file',
    'wrong: /dir/none.yaml: 1 problem, 0 warnings',
    'error: Cannot read config file "/dir/certs.d": it is a directory',
    'wrong: /dir/certs.d: 1 problem, 0 warnings',
    'ok: /dir/registries.yaml (registries.yaml): 0 problems, 0 warnings',
  ]);
  expect(code).toBe(1);
});

test('an unknown kind is a wrong command line', async () => {
  const { code, err } = await run(['config', 'check', '--as', 'host.toml', 'file.txt']);
  expect(err).toEqual([
    'ocifetch: Unknown kind "host.toml": did you mean "hosts.toml"? See "ocifetch config check --help".',
  ]);
  expect(code).toBe(2);
});

test('a file that cannot be read is not converted', async () => {
  const { path, plain } = await folder({});
  const { code, out, err } = await run(['config', 'convert', '--to', 'ocifetch', path('none.yaml')]);
  expect(plain(err)).toEqual(['ocifetch: Cannot read config file "/dir/none.yaml": no such file']);
  expect([code, out]).toEqual([3, []]);
});

test('a missing certificate is a problem, also in files that flags name', async () => {
  const { path, plain } = await folder({
    'config.yaml': 'registries:\n  r.test:\n    mirrors: [{ url: "https://m.test", tls: { ca: [none.pem] } }]',
  });
  const { code, out } = await run(['config', 'check', '--config', path('config.yaml')]);
  expect(plain(out)[0]).toMatch(/^error: \/dir\/config\.yaml:3:52: .*none\.pem": no such file$/);
  expect(plain(out)[1]).toBe('wrong: /dir/config.yaml: 1 problem, 0 warnings');
  expect(code).toBe(1);
});

test('the merged configuration is printed with its places and without its secrets', async () => {
  const { path, plain } = await folder({
    'config.yaml': [
      'registries:',
      '  registry.test:',
      '    mirrors:',
      '      - url: https://mirror.test',
      '        headers: { X-Key: hidden }',
      'credentials: { mirror.test: { username: user, password: hidden } }',
      'proxy: { https: "http://user:hidden@proxy.test:3128" }',
    ].join('\n'),
    'registries.yaml':
      'mirrors:\n  docker.io:\n    endpoint: ["https://m.test"]\nconfigs:\n  m.test: { auth: { identity_token: hidden } }\n',
  });
  const args = ['config', 'show', '--config', path('config.yaml'), '--registries-yaml', path('registries.yaml')];
  const { code, out, err } = await run(args);
  expect(plain(out)).toEqual([
    '# read from, in order of precedence:',
    '#   /dir/config.yaml',
    '#   /dir/registries.yaml',
    '# credentials["mirror.test"]: /dir/config.yaml',
    '# proxy.https: /dir/config.yaml',
    '# credentials["m.test"]: /dir/registries.yaml',
    'registries:',
    "  'docker.io':",
    '    mirrors:',
    "      - url: 'https://m.test'",
    '        capabilities:',
    "          - 'pull'",
    "          - 'resolve'",
    "        declaredAt: '/dir/registries.yaml:3'",
    "    declaredAt: '/dir/registries.yaml:2'",
    "  'registry.test':",
    '    mirrors:',
    "      - url: 'https://mirror.test'",
    '        headers:',
    "          'X-Key': '***'",
    "        declaredAt: '/dir/config.yaml:4'",
    "    declaredAt: '/dir/config.yaml:2'",
    'credentials:',
    "  'm.test':",
    "    identityToken: '***'",
    "  'mirror.test':",
    "    username: 'user'",
    "    password: '***'",
    'proxy:',
    "  https: 'http://proxy.test:3128/'",
  ]);
  expect({ code, err }).toEqual({ code: 0, err: [] });
  const { out: json } = await run([...args, '--json']);
  expect(JSON.parse(json.join('\n'))).toMatchObject({
    config: { credentials: { 'mirror.test': { password: '***' } } },
  });
  expect(json.join('\n')).not.toContain('hidden');
});

test('files are converted, and stderr shows what cannot be expressed', async () => {
  const { path, plain } = await folder({
    'registries.yaml': [
      'mirrors:',
      '  docker.io:',
      '    endpoint: ["https://mirror.test/v2/hub", "https://other.test"]',
      '    rewrite: { "^library/(.*)": "hub/$1" }',
      '  "*":',
      '    endpoint: ["https://all.test"]',
      'configs:',
      '  mirror.test: { auth: { username: user, password: hidden } }',
    ].join('\n'),
  });
  const args = ['config', 'convert', '--to', 'hosts.toml', path('registries.yaml')];
  const { code, out, err } = await run(args);
  expect(plain(out)).toEqual([
    '# docker.io/hosts.toml',
    '[host."https://mirror.test/v2/hub"]',
    'capabilities = ["pull", "resolve"]',
    'override_path = true',
    '',
    '[host."https://mirror.test/v2/hub".rewrite]',
    '"^library/(.*)" = "hub/$1"',
    '',
    '[host."https://other.test"]',
    'capabilities = ["pull", "resolve"]',
    '',
    '[host."https://other.test".rewrite]',
    '"^library/(.*)" = "hub/$1"',
    '',
    '# _default/hosts.toml',
    '[host."https://all.test"]',
    'capabilities = ["pull", "resolve"]',
    '',
    // Asked itself, and not at the mirrors of all others.
    '# mirror.test/hosts.toml',
    'server = "https://mirror.test"',
  ]);
  expect(plain(err)).toEqual(['not written: credentials["mirror.test"]: secret, left out']);
  expect(code).toBe(0);

  const output = await run([...args, '--output', path('certs.d')]);
  expect(plain(output.out)).toEqual(
    ['docker.io', '_default', 'mirror.test'].map((name) => `/dir/certs.d/${name}/hosts.toml`),
  );
  const asked = async (options: object) =>
    createResolver(await loadConfig(options))({ registry: 'docker.io', name: 'library/a' }).map(
      ({ url, repository }) => `${url} ${repository}`,
    );
  expect(await asked({ hostsDirectory: path('certs.d') })).toEqual(
    await asked({ registriesYaml: path('registries.yaml') }),
  );
  const again = await run([...args, '--output', path('certs.d')]);
  expect(plain(again.err).at(-1)).toBe(
    'ocifetch: Cannot write file "/dir/certs.d/docker.io/hosts.toml": it already exists',
  );
  expect(again.code).toBe(1);
});

test('secrets are written on request, to files that only their owner can read', async () => {
  const { path } = await folder({
    'config.json': '{ "auths": { "r.test": { "username": "user", "password": "hidden" } } }',
  });
  const args = ['config', 'convert', '--to', 'ocifetch', '--output', path('out'), path('config.json')];
  await run([...args, '--with-secrets']);
  expect(await readFile(path('out/config.yaml'), 'utf8')).toContain("password: 'hidden'");
  if (process.platform !== 'win32') expect((await stat(path('out/config.yaml'))).mode & 0o077).toBe(0);
});

const helped = JSON.stringify({
  auths: { 'q.test': { username: 'user', password: 'hidden' } },
  credHelpers: { 'z.test': 'fresh', 'plain.test': '' },
  credsStore: 'desktop',
});

test('logins besides credential helpers are printed without secrets, and the helpers by their names', async () => {
  const { path, plain } = await folder({ 'config.json': helped });
  const args = ['config', 'show', '--docker-config', path('config.json')];
  const { out } = await run(args);
  expect(plain(out)).toEqual(
    expect.arrayContaining([
      '# credentials["q.test"]: /dir/config.json',
      '# credentials["z.test"], helper: docker-credential-fresh: /dir/config.json',
      '# credentials["plain.test"], helper: none: /dir/config.json',
      '# credentials of all others, helper: docker-credential-desktop: /dir/config.json',
    ]),
  );
  expect(out.slice(out.indexOf('credentials:'))).toEqual([
    'credentials:',
    "  'q.test':",
    "    username: 'user'",
    "    password: '***'",
  ]);
  const json = JSON.parse((await run([...args, '--json'])).out.join('\n'));
  expect(json.config.credentials).toEqual({ 'q.test': { username: 'user', password: '***' } });
  expect(json.helpers).toEqual([
    { host: 'z.test', helper: 'docker-credential-fresh' },
    { host: 'plain.test', helper: 'none' },
    { helper: 'docker-credential-desktop' },
  ]);
});

test('logins besides credential helpers are converted, and the helpers reported by their names', async () => {
  const { path } = await folder({ 'config.json': helped });
  const args = ['config', 'convert', '--to', 'ocifetch', path('config.json')];
  const programs = [
    'not written: credentials["z.test"]: it cannot express helper docker-credential-fresh',
    'not written: credentials: it cannot express helper docker-credential-desktop',
  ];
  const kept = await run([...args, '--with-secrets']);
  expect(kept.out).toEqual(['credentials:', "  'q.test':", "    username: 'user'", "    password: 'hidden'"]);
  expect(kept.err).toEqual(programs);
  const bare = await run(args);
  expect(bare.out).toEqual(['{}']);
  expect(bare.err).toEqual(['not written: credentials["q.test"]: secret, left out', ...programs]);
});

test("the helpers of a registries.conf are printed, and reported if they cannot be written; a file's name is not a helper", async () => {
  const { path, plain } = await folder({
    'registries.conf': 'credential-helpers = ["containers-auth.json", "secretservice"]\n',
  });
  const shown = await run(['config', 'show', '--registries-conf', path('registries.conf')]);
  expect(plain(shown.out).slice(2)).toEqual([
    '# credentials of all others, helper: docker-credential-secretservice: /dir/registries.conf',
    '{}',
  ]);
  const { out, err } = await run(['config', 'convert', '--to', 'ocifetch', path('registries.conf')]);
  expect(out).toEqual(['{}']);
  expect(err).toEqual(['not written: credentials: it cannot express helper docker-credential-secretservice']);
});

test('each proxy is printed with its file or variable; a file without proxies does not turn them off', async () => {
  const { path, plain } = await folder({
    'empty.yaml': 'proxy: {}\n',
    'https.yaml': 'proxy: { https: "http://file.test:1" }\n',
  });
  for (const name of ['HTTPS_PROXY', 'HTTP_PROXY', 'ALL_PROXY', 'NO_PROXY'])
    for (const spelled of [name, name.toLowerCase()]) vi.stubEnv(spelled, '');
  const origins = async (name: string): Promise<string[]> => {
    const { out } = await run(['config', 'show', '--config', path(name)]);
    return plain(out).filter((line) => line.startsWith('# proxy'));
  };
  expect(await origins('empty.yaml')).toEqual([]);
  vi.stubEnv('https_proxy', 'http://environment.test:1');
  vi.stubEnv('http_proxy', 'http://environment.test:2');
  vi.stubEnv('no_proxy', 'r.test');
  expect((await origins('empty.yaml')).sort()).toEqual([
    '# proxy.http: HTTP_PROXY of the environment',
    '# proxy.https: HTTPS_PROXY of the environment',
    '# proxy.no: NO_PROXY of the environment',
  ]);
  expect((await origins('https.yaml')).sort()).toEqual([
    '# proxy.http: HTTP_PROXY of the environment',
    '# proxy.https: /dir/https.yaml',
    '# proxy.no: NO_PROXY of the environment',
  ]);
  vi.unstubAllEnvs();
});

test('config check says that a user without a home directory has no files of its own, and config check of a file does not', async () => {
  const { path } = await folder({ 'config.yaml': 'registries: {}\n' });
  vi.stubEnv('HOME', 'work');
  try {
    const { out } = await run(['config', 'check']);
    expect(out).toContain(
      'warning: this user has no home directory, so only files of the system were looked for: HOME is "work", which is not an absolute path',
    );
    const { files } = JSON.parse((await run(['config', 'check', '--json'])).out.join('\n'));
    expect(files[0].warnings).toContainEqual(expect.stringContaining('no home directory'));
    for (const args of [[path('config.yaml')], ['--config', path('config.yaml')], ['--no-discover']]) {
      expect((await run(['config', 'check', ...args])).out.join('\n')).not.toContain('home');
    }
  } finally {
    vi.unstubAllEnvs();
  }
});

test('config schema prints a schema that knows every key of the model', async () => {
  const { code, out } = await run(['config', 'schema']);
  expect(code).toBe(0);
  const { properties } = JSON.parse(out.join('\n')) as { properties: object };
  expect(Object.keys(properties)).toEqual(expect.arrayContaining(['registries', 'credentials', 'proxy', 'shortNames']));
});
