import { createClient, loadConfig } from 'ocifetch';
import { expect, test } from 'vitest';
import { certificate } from '../server/certificate.ts';
import { deadPort } from '../support/http.ts';
import { folder, registry, run } from './support.ts';

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

test('a plan is printed host by host, and what is left out with the line that decided it', async () => {
  const { path, plain } = await folder(files);
  const args = ['plan', '--hosts-dir', path('certs.d'), '--config', path('config.yaml'), 'alpine:3.20'];
  const { code, out, err } = await run(args);
  expect(plain(out)).toEqual([
    'docker.io/library/alpine:3.20',
    '',
    '1  mirror.test',
    '   url          https://mirror.test/prefix/v2',
    '   asked for    content; not for what this tag names',
    '   repository   library/alpine → hub/alpine',
    '   rewrite      "^library/(.*)" → "hub/$1"',
    '   scope        repository:hub/alpine:pull',
    '   ns           docker.io',
    '   credentials  credentials["mirror.test"]',
    '   headers      X-Secret',
    '   tls          certificate verified, own CA (1), client certificate',
    '   proxy        http://proxy.test:3128/',
    '   declared at  /dir/certs.d/docker.io/hosts.toml:3',
    '',
    '2  registry-1.docker.io',
    '   url          https://registry-1.docker.io/v2',
    '   asked for    content, tags, referrers',
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

test('the hosts of a printed plan are those that a run asks, in their order', async () => {
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

test('a blocked registry has a plan without hosts, and the exit code says so', async () => {
  const { path, plain } = await folder({ 'config.yaml': 'registries:\n  registry.test:\n    blocked: true\n' });
  const { code, out } = await run(['plan', '--config', path('config.yaml'), 'registry.test/a']);
  expect(plain(out)).toEqual([
    'registry.test/a:latest',
    '',
    'No host is asked.',
    '',
    'left out',
    '-  https://registry.test/v2  the registry is blocked  (/dir/config.yaml:2)',
  ]);
  expect(code).toBe(3);
});
