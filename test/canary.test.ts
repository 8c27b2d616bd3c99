import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { inspect } from 'node:util';
import {
  type Config,
  createClient,
  type Login,
  loadConfig,
  loadConfigText,
  mediaTypes,
  readConfigTexts,
} from 'ocifetch';
import { generate } from 'selfsigned';
import { describe, expect, test } from 'vitest';
import { folder, run } from './cli/support.ts';
import { helperPrograms } from './config/helper-programs.ts';
import { image, layer } from './copy/support.ts';
import { deadPort, httpsServer, rawServer } from './support/http.ts';

/** Every secret is unique, so that one that is found somewhere is known by its place. */
const canary = (place: string): string => `${place}${crypto.randomUUID().replaceAll('-', '')}`;

/** The canaries in a text, with what is around them: also of a part of one, or encoded as in URLs, in JSON or as base64. */
function leaksIn(output: string, canaries: readonly string[]): string[] {
  const texts = [
    output,
    output.replace(/%[\da-f]{2}/gi, (code) => String.fromCharCode(Number.parseInt(code.slice(1), 16))),
  ];
  for (const [whole] of output.matchAll(/[\w+/-]{16,}/g)) {
    for (const skipped of [0, 1, 2, 3]) texts.push(Buffer.from(whole.slice(skipped), 'base64').toString('latin1'));
  }
  const all = texts.join('\n');
  return canaries.flatMap((one) => {
    const parts = Array.from({ length: one.length - 11 }, (_, index) => one.slice(index, index + 12));
    const at = Math.max(...parts.map((part) => all.indexOf(part)));
    return at === -1 ? [] : [all.slice(Math.max(0, at - 100), at + 40)];
  });
}

interface Received {
  readonly method: string;
  readonly path: string;
  /** The whole request as it came. */
  readonly text: string;
}

type Reply = string | 'reset' | 'silence';
type Respond = (request: Received) => Reply;

/** A host that reads requests from its sockets, records them, and sends what it is told to. */
async function host(respond: Respond) {
  const received: string[] = [];
  const serve = async (socket: Socket): Promise<void> => {
    let text = '';
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      text += chunk.toString('latin1');
      const end = text.indexOf('\r\n\r\n');
      const length = Number(/^content-length: (\d+)/im.exec(text)?.[1] ?? 0);
      if (end === -1 || text.length < end + 4 + length) continue;
      received.push(text);
      const [, method = '', path = ''] = /^(\S+) (\S+)/.exec(text) ?? [];
      const reply = respond({ method, path, text });
      if (reply === 'silence') await once(socket, 'close');
      else if (reply === 'reset') socket.resetAndDestroy();
      else socket.end(method === 'HEAD' ? reply.replace(/(?<=\r\n\r\n).*/s, '') : reply, 'latin1');
      return;
    }
  };
  const server = await rawServer((socket) => void serve(socket).catch(() => {}));
  return { name: `127.0.0.1:${server.port}`, url: server.url, received };
}

const reply = (status: number, body: string, headers: Readonly<Record<string, string>> = {}): string =>
  [
    `HTTP/1.1 ${status} x`,
    ...Object.entries({
      'content-type': 'application/json',
      'content-length': `${body.length}`,
      connection: 'close',
      ...headers,
    }).map(([name, value]) => `${name}: ${value}`),
    '',
    body,
  ].join('\r\n');

/** What a host repeats of a request: all of it, as it is, and encoded. */
function repeated({ text }: Received): string {
  const flat = text.replaceAll('\r\n', ' ');
  const credentials = [...text.matchAll(/^(?:proxy-)?(?:authorization|x-key): (?:(?:basic|bearer) )?(.*)\r$/gim)].map(
    ([, value = '']) => value,
  );
  const decoded = credentials.map((value) =>
    Buffer.from(value, 'base64')
      .toString('latin1')
      .replace(/[^\x20-\x7e]/g, ''),
  );
  // The short first, as messages are cut.
  return [...credentials, ...decoded, encodeURIComponent(flat), Buffer.from(flat).toString('base64'), flat].join(' ; ');
}
const words = (request: Received): string => repeated(request).slice(0, 6_000).replace(/[\\"]/g, '');
const oneWord = (request: Received): string =>
  words(request)
    .replace(/[^\w.+=-]+/g, '-')
    .slice(0, 60);

/** What is read of a registry; none of its replies has this digest. */
const wanted = { mediaType: mediaTypes.ociLayer, digest: `sha256:${'a'.repeat(64)}`, size: 6_000 } as const;

/** What a registry does to a request for content that has the right credentials. `signed` is a secret of its own. */
const failures: Readonly<Record<string, (request: Received, signed: string, other: string) => Reply>> = {
  '401 that repeats': (request) =>
    reply(401, JSON.stringify({ errors: [{ code: 'UNAUTHORIZED', message: words(request) }] }), {
      'www-authenticate': `Bearer realm="http://127.0.0.1:1/${oneWord(request)}",error="${oneWord(request)}"`,
    }),
  '403 that repeats': (request) =>
    reply(403, JSON.stringify({ errors: [{ code: oneWord(request), message: words(request) }] })),
  '404 that repeats': (request) =>
    reply(404, JSON.stringify({ errors: [{ code: 'MANIFEST_UNKNOWN', message: words(request) }] })),
  '429 that repeats': (request) => reply(429, JSON.stringify({ message: words(request) }), { 'retry-after': '0' }),
  '500 that repeats': (request) => reply(500, JSON.stringify({ details: words(request) })),
  '500 of plain text': (request) => reply(500, words(request), { 'content-type': 'text/plain' }),
  'JSON that is not': (request) => reply(200, `{"a": ${words(request)}`, { 'content-type': mediaTypes.ociManifest }),
  'text that is no JSON': (request) => reply(200, words(request), { 'content-type': mediaTypes.ociManifest }),
  'a document with wrong fields': (request) =>
    reply(200, JSON.stringify({ schemaVersion: 2, mediaType: words(request), config: { digest: words(request) } }), {
      'content-type': mediaTypes.ociManifest,
    }),
  'wrong headers': (request) =>
    reply(200, '{}', {
      'content-type': oneWord(request),
      'content-encoding': oneWord(request),
      'docker-content-digest': `sha256:${oneWord(request)}`,
      link: `<http://127.0.0.1:1/${oneWord(request)}?a=${oneWord(request)}>; rel="next"`,
      warning: `299 - "${words(request).slice(0, 300)}"`,
    }),
  'wrong bytes': (request) =>
    reply(200, words(request).padEnd(wanted.size, '.').slice(0, wanted.size), {
      'content-type': mediaTypes.ociManifest,
      'docker-content-digest': wanted.digest,
    }),
  'a wrong range': (request) => reply(206, 'x', { 'content-range': oneWord(request) }),
  'a head that is not HTTP': (request) => `HTTP/1.1 200 OK\r\n${words(request)}\r\n\r\n`,
  'chunks that are not': (request) => `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${words(request)}\r\n`,
  'a body that ends early': (request) => reply(200, words(request), { 'content-length': '100000' }),
  'a redirect to a file': (_, signed) => reply(307, '', { location: `file:///etc/passwd?sig=${signed}` }),
  'a redirect to a link-local address': (_, signed) =>
    reply(307, '', {
      location: `http://joe:${signed}@169.254.169.254/x?X-Amz-Signature=${signed}`,
      'set-cookie': `id=${signed}; Path=/`,
    }),
  'a redirect to a host that repeats': (_, signed, other) =>
    reply(307, '', { location: `${other}/x?${signed}&sig=${signed}`, 'set-cookie': `id=${signed}` }),
  'redirects without end': ({ path }, signed) => reply(302, '', { location: `${path.split('?')[0]}?token=${signed}` }),
  'a reset': () => 'reset',
  silence: () => 'silence',
};

/** Ways to have credentials, each with what a host challenges them with. */
const kinds: Readonly<
  Record<string, { readonly challenge: 'Basic' | 'Bearer' | 'none'; readonly login?: (secret: string) => Login }>
> = {
  'a password': { challenge: 'Basic', login: (password) => ({ username: 'joe', password }) },
  'a password for a token': { challenge: 'Bearer', login: (password) => ({ username: 'joe', password }) },
  'an identity token': { challenge: 'Bearer', login: (identityToken) => ({ identityToken }) },
  'a registry token': { challenge: 'Bearer', login: (registryToken) => ({ registryToken }) },
  'a configured Authorization': { challenge: 'none' },
};

/** A registry that requires credentials, and then does to requests what `act` says. */
async function guarded(challenge: 'Basic' | 'Bearer' | 'none', token: string, act: Respond, tokenReply?: Respond) {
  const registry: { name: string; url: string; received: string[] } = await host((request) => {
    if (request.path.startsWith('/token')) {
      return (
        tokenReply?.(request) ??
        reply(200, JSON.stringify({ token, refresh_token: `${token}refresh` }), {
          'set-cookie': `session=${token}cookie`,
        })
      );
    }
    if (/^(?:authorization|proxy-authorization):/im.test(request.text)) return act(request);
    const realm = challenge === 'Bearer' ? `Bearer realm="${registry.url}/token",service="s"` : 'Basic realm="r"';
    return reply(401, '{}', { 'www-authenticate': realm });
  });
  return registry;
}

/** Everything that a program can see of operations that fail. */
async function outputOf(
  config: Config,
  reference: string,
  work?: (client: ReturnType<typeof createClient>) => Promise<unknown>,
): Promise<string> {
  const seen: unknown[] = [];
  const types = ['request', 'attempt', 'wait', 'switch', 'verified', 'copy', 'skip', 'warning'];
  const listener = (message: unknown): void => void seen.push(message);
  for (const type of types) subscribe(`ocifetch:${type}`, listener);
  try {
    const client = createClient({
      config,
      onEvent: listener,
      retries: { tries: 1 },
      timeouts: { connect: 500, headers: 150, idle: 150, retryAfter: 0 },
    });
    const fetcher = client.fetcher(reference.replace(/:[^:/]*$/, ''));
    const operations = work ? [() => work(client)] : [() => client.resolve(reference), () => fetcher.tags()];
    seen.push(client.plan(reference));
    for (const operation of operations)
      seen.push(
        await Promise.resolve()
          .then(operation)
          .catch((error: unknown) => error),
      );
    await client.close();
  } catch (error) {
    seen.push(error);
  } finally {
    for (const type of types) unsubscribe(`ocifetch:${type}`, listener);
  }
  const properties = seen.flatMap((one) => (one instanceof Error ? [{ ...one }, one.message, one.stack] : []));
  return [seen, properties]
    .map(
      (each) =>
        inspect(each, { showHidden: true, depth: 20, maxStringLength: null, maxArrayLength: null }) +
        JSON.stringify(each),
    )
    .join('\n');
}

describe.each(Object.entries(kinds))('%s', (_kind, { challenge, login }) => {
  test('stays with its host, and nothing shows it, whichever way a request fails', async () => {
    for (const [failure, act] of Object.entries(failures)) {
      const [secret, header, token, signed] = [canary('secret'), canary('header'), canary('token'), canary('signed')];
      const other = await host((request) =>
        reply(403, JSON.stringify({ errors: [{ code: 'DENIED', message: words(request) }] })),
      );
      const registry = await guarded(challenge, token, (request) => act(request, signed, other.url));
      const headers = { 'x-key': header, ...(!login && { authorization: `Bearer ${secret}` }) };
      const config = {
        registries: { [registry.name]: { origin: { url: registry.url, headers } } },
        ...(login && { credentials: { [registry.name]: login(secret) } }),
      };
      const isRead = failure === 'wrong bytes';
      const read = async (client: ReturnType<typeof createClient>) =>
        (await client.fetcher(`${registry.name}/team/app`).fetch(wanted)).bytes();
      const output = await outputOf(config, `${registry.name}/team/app:latest`, isRead ? read : undefined);
      if (isRead) expect(output).toContain('DIGEST_MISMATCH');
      const canaries = [secret, header, token, signed];
      expect(leaksIn(output, canaries), `${failure}`).toEqual([]);
      expect(leaksIn(other.received.join('\n'), [secret, header, token]), failure).toEqual([]);
      // They were there to be shown.
      expect(leaksIn(registry.received.join('\n'), [secret, header]).length, failure).toBe(2);
    }
  });
});

test('no failure of a TLS handshake shows what would have been sent after it, or the key, and nothing is sent', async () => {
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'other.example' }], { keyType: 'ec' });
  const greetings: Readonly<Record<string, (socket: Socket) => unknown>> = {
    'plain text': (socket) => socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n'),
    'a fatal alert': (socket) => socket.end(Buffer.from([21, 3, 3, 0, 2, 2, 40])),
    'a reset': (socket) => socket.resetAndDestroy(),
    silence: () => {},
  };
  const received: string[] = [];
  const servers = Object.entries(greetings).map(async ([kind, greet]) => {
    const { port } = await rawServer((socket) => {
      socket.on('error', () => {}).on('data', (bytes) => received.push(bytes.toString('latin1')));
      socket.once('data', () => greet(socket));
    });
    return { kind, port };
  });
  const untrusted = await httpsServer({ cert, key }, (request, response) => {
    received.push(request.rawHeaders.join(' '));
    response.end();
  });
  for (const { kind, port } of [...(await Promise.all(servers)), { kind: 'a certificate', port: untrusted.port }]) {
    const [password, header] = [canary('password'), canary('header')];
    const url = `https://127.0.0.1:${port}`;
    const output = await outputOf(
      {
        registries: {
          'reg.example': { origin: { url, headers: { 'x-key': header }, tls: { cert, key } } },
        },
        credentials: { 'reg.example': { username: 'joe', password } },
      },
      'reg.example/team/app:latest',
    );
    const canaries = [password, header, ...key.split('\n').filter((line) => line.length > 30)];
    expect(canaries.length).toBeGreaterThan(3);
    expect(output, kind).toMatch(/UNAVAILABLE|TIMEOUT/);
    expect(leaksIn(output, canaries), kind).toEqual([]);
    expect(leaksIn(received.join('\n'), [password, header]), kind).toEqual([]);
  }
  expect(received.length).toBeGreaterThan(3);
});

test('no failure of a token server shows what was sent to it, or its token', async () => {
  const replies: Record<string, (request: Received, token: string) => Reply> = {
    'a token that is no JSON': (_, token) => reply(200, `{"token": "${token}"`),
    'a token with blanks in it': (_, token) => reply(200, JSON.stringify({ token: `${token} ${token}` })),
    'a chunk that is not one': (_, token) =>
      `HTTP/1.1 200 OK\r\nset-cookie: a=${token}\r\ntransfer-encoding: chunked\r\n\r\n{"token":"${token}"}\r\n`,
    'a head that is not one': (_, token) => `HTTP/1.1 200 OK\r\nset cookie ${token}\r\n\r\n{"token":"${token}"}`,
    'an end before the end': (_, token) => reply(200, `{"token": "${token}"`, { 'content-length': '5000' }),
    'a refusal that repeats': (request) =>
      reply(403, JSON.stringify({ error: oneWord(request), error_description: words(request) })),
    'an error that repeats': (request) => reply(500, words(request), { 'content-type': 'text/html' }),
    'a redirect with a signature': (_, token) =>
      reply(307, '', { location: `http://169.254.169.254/?sig=${token}&${token}` }),
  };
  for (const [name, respond] of Object.entries(replies)) {
    for (const login of [{ username: 'joe', password: canary('password') }, { identityToken: canary('identity') }]) {
      const token = canary('token');
      const registry = await guarded(
        'Bearer',
        token,
        () => reply(200, '{}'),
        (request) => respond(request, token),
      );
      const secret = 'password' in login ? login.password : login.identityToken;
      const output = await outputOf({ credentials: { [registry.name]: login } }, `${registry.name}/team/app:latest`);
      expect(leaksIn(output, [secret ?? '', token]), `${name}`).toEqual([]);
    }
  }
});

const refusal = failures['403 that repeats'] as (request: Received, signed: string, other: string) => Reply;

test('a signed URL of a descriptor, its login and its bare query are shown by no failure, and go nowhere else', async () => {
  for (const act of Object.values(failures)) {
    const [password, signature, bare, signed] = [
      canary('password'),
      canary('signature'),
      canary('bare'),
      canary('signed'),
    ];
    const other = await host((request) => act(request, signed, 'http://127.0.0.1:1'));
    const registry = await host((request) => refusal(request, '', ''));
    const urls = [`${other.url.replace('//', `//joe:${password}@`)}/x?X-Amz-Signature=${signature}&${bare}`];
    const output = await outputOf({}, `${registry.name}/team/app:latest`, async (client) => {
      const content = await client.fetcher(`${registry.name}/team/app`).fetch({ ...layer('x').descriptor, urls });
      return content.bytes();
    });
    expect(leaksIn(output, [password, signature, bare, signed])).toEqual([]);
    expect(leaksIn(registry.received.join('\n'), [password, signature, bare])).toEqual([]);
  }
});

test('the login of a proxy is shown by no failure', async () => {
  const refused = () => reply(407, '{}', { 'proxy-authenticate': 'Basic' });
  for (const act of [...Object.values(failures), refused]) {
    const [password, signed] = [canary('password'), canary('signed')];
    const proxy = await host((request) => act(request, signed, 'http://other.example'));
    const url = proxy.url.replace('//', `//joe:${password}@`);
    const mirrors = [{ url: 'http://mirror.example' }, { url: 'https://tls.example' }];
    const config = {
      proxy: { http: url, https: url },
      registries: { 'reg.example': { mirrors, origin: 'never' as const } },
    };
    const output = await outputOf(config, 'reg.example/team/app:latest');
    expect(leaksIn(output, [password, signed])).toEqual([]);
    expect(proxy.received.length).toBeGreaterThan(0);
  }
});

const helpers = helperPrograms();

test('what a credential helper or a provider says, gives or throws is shown by no failure', async () => {
  const registry = await guarded('Basic', '', (request) => refusal(request, '', ''));
  const secret = canary('secret');
  const providers: Record<string, () => Login> = {
    gives: () => ({ username: 'joe', password: secret }),
    'gives too much': () => ({ username: 'joe', password: secret, identityToken: secret }) as Login,
    throws: () => {
      throw Object.assign(new Error(`wrong password ${secret}`, { cause: new Error(secret) }), {
        response: { secret },
      });
    },
    'throws a text': () => {
      throw `wrong password ${secret}`;
    },
  };
  for (const [name, credentials] of Object.entries(providers)) {
    const output = await outputOf({ credentials }, `${registry.name}/team/app:latest`);
    expect(leaksIn(output, [secret]), `${name}`).toEqual([]);
  }
  const { writeFile } = await import('node:fs/promises');
  for (const said of [
    `{"Username":"joe","Secret":"${secret}"}`,
    `locked by ${secret.slice(0, 20)}`,
    secret,
    `"${secret}" is wrong`,
  ]) {
    for (const code of [0, 1]) {
      const program = `#!/bin/sh\ncat >/dev/null\necho '${said}'\nexit ${code}\n`;
      await writeFile(join(helpers.folder, 'docker-credential-canary'), program, { mode: 0o755 });
      const { path } = await folder({ 'config.json': JSON.stringify({ credsStore: 'canary' }) });
      const config = await loadConfig({ dockerConfig: path('config.json') });
      const output = await outputOf(config, `${registry.name}/team/app:latest`);
      expect(leaksIn(output, [secret]), `${said}`).toEqual([]);
    }
  }
});

interface Format {
  readonly flag: string;
  readonly file: string;
  readonly text: (
    host: string,
    secrets: { readonly password: string; readonly header: string; readonly key: string },
  ) => string;
}

const auth = (password: string): string => Buffer.from(`joe:${password}`).toString('base64');

/** The files that programs read, with every kind of secret that they have. */
const formats: Readonly<Record<string, Format>> = {
  ocifetch: {
    flag: 'config',
    file: 'ocifetch.yaml',
    text: (host, { password, header, key }) =>
      JSON.stringify({
        registries: {
          [host]: {
            mirrors: [{ url: `http://${host}`, headers: { 'x-key': header }, tls: { cert: 'none.pem', key } }],
          },
        },
        credentials: { [host]: { username: 'joe', password } },
        proxy: { https: `http://joe:${password}@proxy.example` },
      }),
  },
  'hosts.toml': {
    flag: 'hosts-dir',
    file: 'certs.d/_default/hosts.toml',
    text: (host, { header, key }) =>
      `[host."http://${host}"]\nclient = ["none.pem", "${key.replaceAll('\n', '\\n')}"]\n[host."http://${host}".header]\nx-key = "${header}"\n`,
  },
  'registries.yaml': {
    flag: 'registries-yaml',
    file: 'registries.yaml',
    text: (host, { password, header, key }) =>
      JSON.stringify({
        mirrors: { '*': { endpoint: [`http://${host}`] } },
        configs: {
          [host]: { auth: { username: 'joe', password }, tls: { cert_file: 'none.pem', key_file: key } },
          'b.example': { auth: { auth: auth(password), identity_token: header } },
        },
      }),
  },
  docker: {
    flag: 'docker-config',
    file: 'config.json',
    text: (host, { password, header }) =>
      JSON.stringify({
        auths: {
          [host]: { auth: auth(password) },
          'b.example': { identitytoken: header },
          'c.example': { registrytoken: header },
        },
        HttpHeaders: { 'X-Key': header },
        proxies: { default: { httpsProxy: `http://joe:${password}@proxy.example` } },
      }),
  },
  'auth.json': {
    flag: 'auth-file',
    file: 'auth.json',
    text: (host, { password, header }) =>
      JSON.stringify({ auths: { [host]: { auth: auth(password) }, 'b.example/x': { auth: auth(header) } } }),
  },
  regctl: {
    flag: 'regctl-config',
    file: 'regctl.json',
    text: (host, { password, header, key }) =>
      JSON.stringify({
        version: 1,
        hosts: {
          [host]: { tls: 'disabled', user: 'joe', pass: password, clientKey: key, clientCert: 'x' },
          'b.example': { token: header },
        },
      }),
  },
};

const commands = ['plan', 'doctor', 'get', 'manifest', 'config', 'tags', 'referrers', 'ls', 'pull'];

describe.each(Object.entries(formats))('secrets in the files of %s', (_name, { flag, file, text }) => {
  const keyBody = Buffer.from(`0\u0082\u0004${canary('key')}${canary('key')}${canary('key')}`, 'latin1')
    .toString('base64')
    .replace(/^./, 'M');
  const keys = {
    'in PEM': `-----BEGIN PRIVATE KEY-----\n${keyBody}\n-----END PRIVATE KEY-----\n`,
    'as base64 on one line': keyBody,
  };

  test('are printed by no command, in no format and with no flag', async () => {
    for (const [kind, key] of Object.entries(keys)) {
      const secrets = { password: canary('password'), header: canary('header'), key };
      const registry = await guarded('Basic', '', (request) => refusal(request, '', ''));
      const written = text(registry.name, secrets);
      const { path } = await folder({ [file]: written });
      const given = [`--${flag}`, path(flag === 'hosts-dir' ? 'certs.d' : file), '--no-discover'];
      const reference = `${registry.name}/team/app:latest`;
      const lines = [
        ...commands.map((command) => [command, reference, ...(command === 'pull' ? [path('layout')] : []), ...given]),
        ['config', 'show', ...given],
        ['config', 'check', path(file)],
        ['config', 'convert', path(file), '--to', 'ocifetch'],
        ['config', 'convert', path(file), '--to', 'hosts.toml'],
      ];
      const canaries = [secrets.password, secrets.header, keyBody.slice(0, 60)];
      for (const line of lines) {
        for (const more of [[], ['--json']]) {
          const { out, err } = await run([...line, ...more], { DEBUG: '1' });
          const output = [...out, ...err].join('\n');
          expect(leaksIn(output, canaries), `${kind}: ${[...line, ...more].join(' ')}`).toEqual([]);
          expect(output, line.join(' ')).not.toMatch(/TypeError|ReferenceError/);
        }
      }
    }
  });

  test('are shown by no error about the file, whichever part of it is wrong', async () => {
    const secrets = { password: canary('password'), header: canary('header'), key: keyBody };
    const whole = text('a.example', secrets);
    const canaries = [secrets.password, secrets.header, keyBody.slice(0, 60)];
    const wrong = [
      ...[0.3, 0.5, 0.7, 0.9].map((part) => whole.slice(0, whole.length * part)),
      ...[...whole.matchAll(/[":,{[]/g)]
        .slice(0, 60)
        .map(({ index }) => whole.slice(0, index) + whole.slice(index + 1)),
      ...canaries
        .slice(0, 2)
        .flatMap((one) => [
          whole.replaceAll(one, `\u0000${one}`),
          whole.replaceAll(`"${one}"`, `["${one}"]`),
          whole.replaceAll(`"${one}"`, `{"${one}": 1}`),
        ]),
    ];
    for (const [index, written] of wrong.entries()) {
      const { path } = await folder({ [file]: written });
      const error: unknown = await loadConfigText(path(file))
        .then((read) => readConfigTexts([read]))
        .then((config) => createClient({ config }).close())
        .catch((thrown: unknown) => thrown);
      const output = inspect(error, { showHidden: true, depth: 20 }) + JSON.stringify(error);
      expect(leaksIn(output, canaries), `${index}\n${written}`).toEqual([]);
    }
  });
});

test('a login in a reference, in a URL of the configuration or in the environment is not shown', async () => {
  const secret = canary('secret');
  const outputs = [
    await outputOf({}, `joe:${secret}@reg.example/team/app`),
    await outputOf({}, `https://joe:${secret}@reg.example/team/app`),
    await outputOf(
      { registries: { 'reg.example': { mirrors: [{ url: `https://joe:${secret}@mirror.example/?${secret}` }] } } },
      'reg.example/a',
    ),
    await outputOf({ registries: { [`joe:${secret}@reg.example`]: {} } }, 'reg.example/a'),
    await outputOf({ proxy: { http: `socks://joe:${secret}@proxy.example` } }, 'reg.example/a'),
    await outputOf(
      { credentials: { 'reg.example': { username: 'joe', password: secret, other: secret } as Login } },
      'reg.example/a',
    ),
  ];
  const port = await deadPort();
  const environment = {
    HTTP_PROXY: `http://joe:${secret}@127.0.0.1:${port}`,
    https_proxy: `ftp://joe:${secret}@x`,
    DEBUG: '1',
  };
  const before = { ...process.env };
  Object.assign(process.env, environment);
  try {
    for (const command of ['plan', 'doctor', 'tags', 'config show']) {
      const reference = command === 'config show' ? [] : ['http.example/team/app'];
      const { out, err } = await run([...command.split(' '), ...reference, '--no-discover'], environment);
      outputs.push([...out, ...err].join('\n'));
    }
  } finally {
    for (const name of Object.keys(environment)) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  }
  expect(leaksIn(outputs.join('\n'), [secret])).toEqual([]);
});

test('no file of a layout has a secret of the pull that wrote it', async () => {
  const made = image('app', { platform: 'linux/amd64', layers: [layer('one')] });
  const [password, header, token] = [canary('password'), canary('header'), canary('token')];
  const registry = await guarded('Bearer', token, ({ path }) => {
    const [, name = ''] = /\/(?:manifests|blobs)\/([^?]+)/.exec(path) ?? [];
    const found = made.parts.find(({ descriptor }) => descriptor.digest === name) ?? made.root;
    return reply(200, Buffer.from(found.bytes).toString('latin1'), { 'content-type': found.descriptor.mediaType });
  });
  const { path } = await folder({});
  const config = {
    registries: { [registry.name]: { origin: { url: registry.url, headers: { 'x-key': header } } } },
    credentials: { [registry.name]: { username: 'joe', password } },
  };
  const output = await outputOf(config, `${registry.name}/team/app:latest`, (client) =>
    client.pull(`${registry.name}/team/app:latest`, { to: path('layout'), platform: 'all' }),
  );
  const files = await readdir(path('layout'), { recursive: true, withFileTypes: true });
  const texts = await Promise.all(
    files.filter((one) => one.isFile()).map((one) => readFile(join(one.parentPath, one.name), 'latin1')),
  );
  expect(texts.length).toBeGreaterThan(3);
  expect(
    leaksIn(`${output}\n${files.map(({ name }) => name).join('\n')}\n${texts.join('\n')}`, [password, header, token]),
  ).toEqual([]);
});
