import { readFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { bytesBody, createClient, type LoadConfigOptions, loadConfig, type Transport } from 'ocifetch';
import { describe, expect, test, vi } from 'vitest';
import { type Case, type Kind, kinds, writeCase } from '../../interop/support/configured.ts';
import { hostsTomlCases, ownHostsTomlCases } from '../../interop/support/hosts-toml-cases.ts';
import { authFileCases, dockerConfigCases } from '../../interop/support/logins-cases.ts';
import { ownFileCases } from '../../interop/support/own-cases.ts';
import { failingRegctlCases, ownRegctlCases, regctlCases } from '../../interop/support/regctl-cases.ts';
import { blockedCases, ownBlockedCases, registriesConfCases } from '../../interop/support/registries-conf-cases.ts';
import { registriesYamlCases } from '../../interop/support/registries-yaml-cases.ts';
import { certificate } from '../../server/certificate.ts';
import { atEnd, deadPort } from '../../support/http.ts';
import { folder, registry, run } from '../support.ts';

const hostsToml = `server = "https://registry-1.docker.io"

[host."https://mirror.test/prefix"]
  capabilities = ["pull"]
  ca = "ca.pem"
  client = [["client.pem", "client.key"]]
  [host."https://mirror.test/prefix".header]
    X-Secret = "hidden"
  [host."https://mirror.test/prefix".rewrite]
    "^library/(.*)" = "hub/$1"

[host."http://127.0.0.1:5000"]
  skip_verify = false
  [host."http://127.0.0.1:5000".rewrite]
    ".*" = "a//b"
`;

const files = {
  'certs.d/docker.io/hosts.toml': hostsToml,
  'certs.d/docker.io/ca.pem': certificate.cert,
  'certs.d/docker.io/client.pem': certificate.cert,
  'certs.d/docker.io/client.key': certificate.key,
  'config.yaml': [
    'credentials: { mirror.test: { username: user, password: hidden } }',
    'proxy: { https: "http://user:hidden@proxy.test:3128", no: [docker.io] }',
  ].join('\n'),
};

test('a plan is printed host by host, and each host left out with the line that decides it', async () => {
  const { path, plain } = await folder(files);
  const args = ['plan', '--hosts-dir', path('certs.d'), '--config', path('config.yaml'), 'alpine:3.20'];
  const { code, out, err } = await run(args);
  expect(plain(out)).toEqual([
    'docker.io/library/alpine:3.20',
    '',
    '1  mirror.test',
    '   url          https://mirror.test/prefix/v2',
    '   used for     content; not to resolve this tag',
    '   repository   library/alpine → hub/alpine',
    '   rewrite      "^library/(.*)" → "hub/$1"',
    '   scope        repository:hub/alpine:pull',
    '   ns           docker.io',
    '   credentials  credentials["mirror.test"]',
    '   headers      X-Secret',
    '   tls          certificate verified, own CA (1), client certificate',
    '   proxy        http://proxy.test:3128/',
    '   if silent    for 0.3 s, the next host is requested, too',
    '   if slow      for 5.0 s, below a tenth of other hosts, the next one continues',
    '   declared at  /dir/certs.d/docker.io/hosts.toml:3',
    '',
    '2  registry-1.docker.io',
    '   url          https://registry-1.docker.io/v2',
    '   used for     content, tags, referrers',
    '   repository   library/alpine',
    '   scope        repository:library/alpine:pull',
    '   ns           none',
    '   credentials  none',
    '   tls          certificate verified',
    '   proxy        none',
    '   declared at  /dir/certs.d/docker.io/hosts.toml:1',
    '',
    'left out',
    expect.stringMatching(
      /^- {2}http:\/\/127\.0\.0\.1:PORT\/v2 {2}Cannot rewrite .*a\/\/b.* {2}\(\/dir\/certs\.d\/docker\.io\/hosts\.toml:12\)$/,
    ),
  ]);
  expect(code).toBe(0);
  expect(err.filter((line) => !line.startsWith('warning: '))).toEqual([]);
  expect(JSON.stringify({ out, err })).not.toContain('hidden');
});

test('--json prints the plan of the client', async () => {
  const { path } = await folder(files);
  const options = { hostsDirectory: path('certs.d'), file: path('config.yaml') };
  const args = ['plan', '--json', '--hosts-dir', options.hostsDirectory, '--config', options.file, 'alpine:3.20'];
  const { out } = await run(args);
  const client = createClient({ config: await loadConfig(options) });
  expect(JSON.parse(out.join('\n'))).toEqual(JSON.parse(JSON.stringify(client.plan('alpine:3.20'))));
  await client.close();
});

test('the hosts of a printed plan are those that a run contacts, in their order', async () => {
  const empty = await registry({ gate: () => async () => new Response('{}', { status: 404 }) });
  const full = await registry();
  const dead = `http://127.0.0.1:${await deadPort()}`;
  const mirrors = [
    { url: dead },
    { url: empty.url },
    { url: full.url, rewrites: [{ pattern: '^', replacement: 'x/' }] },
  ];
  const { path } = await folder({
    'config.json': JSON.stringify({ registries: { 'registry.test': { mirrors, origin: 'never' } } }),
  });
  const { out } = await run(['plan', '--config', path('config.json'), 'registry.test/a']);
  const planned = out.flatMap((line) => /^ {3}url +(.*)$/.exec(line)?.[1] ?? []);
  const asked: string[] = [];
  const client = createClient({
    config: await loadConfig({ file: path('config.json') }),
    onEvent: (event) => event.type === 'attempt' && asked.push(event.url),
  });
  await client.resolve('registry.test/a');
  await client.close();
  expect(planned).toEqual([`${dead}/v2`, `${empty.url}/v2`, `${full.url}/v2`]);
  expect(asked).toEqual(planned);
  expect(full.requests).toEqual(['HEAD /v2/x/a/manifests/latest?ns=registry.test']);
});

test('a blocked registry has a plan without hosts and an exit code of its own', async () => {
  const { path, plain } = await folder({ 'config.yaml': 'registries:\n  registry.test:\n    blocked: true\n' });
  const { code, out } = await run(['plan', '--config', path('config.yaml'), 'registry.test/a']);
  expect(plain(out)).toEqual([
    'registry.test/a:latest',
    '',
    'No host is contacted.',
    '',
    'left out',
    '-  https://registry.test/v2  the registry is blocked  (/dir/config.yaml:2)',
  ]);
  expect(code).toBe(3);
});

/** A request: its URL, the scope of its token, whose login that was for, and the headers beside a client's own. */
type Asked = readonly [url: string, scope: string, login: string, headers: string];

/** Hosts that have nothing, want tokens, and are no sockets. */
function emptyHosts(): { readonly transport: Transport; readonly asked: Asked[] } {
  const asked: Asked[] = [];
  const transport: Transport = async ({ url, headers = {}, body: form }) => {
    const answer = (status: number, text = '', more: Record<string, string> = {}) => ({
      status,
      url,
      headers: more,
      body: bytesBody(Buffer.from(text)),
    });
    const { pathname, origin, searchParams } = new URL(url);
    const [, proof = ''] = /^(?:Basic|Bearer) (.*)$/.exec(headers.authorization ?? '') ?? [];
    if (pathname === '/token') {
      const fields = form === undefined ? searchParams : new URLSearchParams(form);
      const user = Buffer.from(proof, 'base64').toString().replace(/:.*$/s, '');
      const login = fields.get('refresh_token') ?? (user || 'none');
      const token = JSON.stringify([fields.getAll('scope').join(' '), login]);
      return answer(200, JSON.stringify({ token }), { 'content-type': 'application/json' });
    }
    if (proof === '') return answer(401, '', { 'www-authenticate': `Bearer realm="${origin}/token",service="test"` });
    const own = Object.keys(headers).filter((name) => name.startsWith('x-'));
    const [scope, login] = JSON.parse(proof);
    asked.push([url, scope, login, own.sort().join(', ')]);
    return answer(404);
  };
  return { transport, asked };
}

/** The hosts that a printed plan says are contacted for a reference, in order. */
function printedRequests(out: readonly string[], piece: string, digest: boolean): Asked[] {
  const blocks = out
    .join('\n')
    .split(/\n\n(?=\d+ )/)
    .slice(1);
  return blocks.flatMap((block) => {
    const row = (name: string): string => new RegExp(`^ {3}${name} +(.*)$`, 'm').exec(block)?.[1] ?? '';
    if (!row('used for').includes(digest ? 'content' : 'tags')) return [];
    const query = row('ns') === 'none' ? '' : `?ns=${encodeURIComponent(row('ns'))}`;
    const repository = row('repository').replace(/^.* → /, '');
    const url = (kind: string): string => `${row('url')}/${repository}/${kind}/${piece}${query}`;
    const login = row('credentials')
      .replace(/^credentials\["(.*)"\]$/, '$1')
      .replaceAll(':', '_');
    const rest = [row('scope'), login, row('headers').toLowerCase().split(', ').sort().join(', ')] as const;
    return ['manifests', ...(digest ? ['blobs'] : [])].map((kind): Asked => [url(kind), ...rest]);
  });
}

const flags: Readonly<Record<string, string>> = {
  file: '--config',
  hostsDirectory: '--hosts-dir',
  registriesYaml: '--registries-yaml',
  registriesConf: '--registries-conf',
  regctlConfig: '--regctl-config',
  authFile: '--auth-file',
  dockerConfig: '--docker-config',
};

async function printedAndAsked(
  options: LoadConfigOptions,
  reference: string,
): Promise<[printed: Asked[], asked: Asked[]]> {
  const named = Object.entries(options).flatMap(([kind, path]) => [flags[kind] ?? kind, String(path)]);
  const { out, err } = await run(['plan', ...named, reference]);
  expect(err.filter((line) => !line.startsWith('warning: '))).toEqual([]);
  const { transport, asked } = emptyHosts();
  await using client = createClient({ config: await loadConfig(options), transport });
  await expect(client.resolve(reference)).rejects.toThrow();
  const [, digest] = reference.split('@');
  const printed = printedRequests(out, digest ?? reference.split(':').at(-1) ?? '', digest !== undefined);
  expect(printed.length > 0 || out.includes('No host is contacted.')).toBe(true);
  return [printed, asked];
}

const configurations: readonly (readonly [of: string, kind: Kind, cases: readonly Case[]])[] = [
  ['hosts.toml', kinds.hostsDirectory, [...hostsTomlCases, ...ownHostsTomlCases]],
  ['registries.conf', kinds.registriesConf, [...registriesConfCases, ...blockedCases, ...ownBlockedCases]],
  ['registries.yaml', kinds.registriesYaml, registriesYamlCases],
  ["regctl's config.json", kinds.regctlConfig, [...regctlCases, ...failingRegctlCases, ...ownRegctlCases]],
  ["Docker's config.json", kinds.dockerConfig, dockerConfigCases],
  ["Podman's auth.json", kinds.authFile, authFileCases],
  ['own file', kinds.file, ownFileCases],
];

describe('the whole list of hosts that a run asks is the one that was printed:', () => {
  const digest = `sha256:${'1'.repeat(64)}`;
  const all = configurations.flatMap(([of, kind, cases]) =>
    cases.map((one) => [`${of}: ${one.name}`, kind, one] as const),
  );

  // The one case with a helper needs its program.
  test.each(process.platform === 'win32' ? all.filter(([name]) => !name.includes('helper')) : all)(
    '%s',
    async (_name, kind, { hosts, files, repository, byDigest }) => {
      const at = Object.fromEntries(Object.keys(hosts).map((key, index) => [key, `127.0.0.1:${50_001 + index}`]));
      const { path } = await folder({});
      const home = await writeCase(path(''), kind, files(at));
      vi.stubEnv('PATH', `${join(home, 'bin')}${delimiter}${process.env.PATH}`);
      atEnd(async () => void vi.unstubAllEnvs());
      const name = repository(at);
      const [printed, asked] = await printedAndAsked(kind.options(home), byDigest ? `${name}@${digest}` : `${name}:v1`);
      expect(asked).toEqual(printed);
    },
  );

  test('the examples in docs/configuration.md', async () => {
    const page = await readFile(new URL('../../../docs/configuration.md', import.meta.url), 'utf8');
    const examples = [...page.matchAll(/<!-- (\S+) → (\S+) -->\n```\w+\n([\s\S]*?)```/g)];
    for (const [, file = '', reference = '', text = ''] of examples) {
      const { path } = await folder({ [file]: text });
      const own: LoadConfigOptions = file.endsWith('hosts.toml') ? { hostsDirectory: path('certs.d') } : {};
      const option = {
        'registries.yaml': 'registriesYaml',
        'registries.conf': 'registriesConf',
        'config.json': 'dockerConfig',
        'regctl.json': 'regctlConfig',
        'ocifetch.yaml': 'file',
      }[file];
      const [printed, asked] = await printedAndAsked(option === undefined ? own : { [option]: path(file) }, reference);
      expect(asked.map(([url, scope]) => [url, scope])).toEqual(printed.map(([url, scope]) => [url, scope]));
      expect(asked.length).toBeGreaterThan(0);
    }
    expect(examples).toHaveLength(6);
  });
});
