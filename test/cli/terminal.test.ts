import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { mediaTypes } from 'ocifetch';
import { expect, test } from 'vitest';
import { sampleOf } from '../contract/source.ts';
import { rawServer } from '../support/http.ts';
import { archive, end, pax } from '../support/tar.ts';
import { folder, run } from './support.ts';

/** Characters that a terminal acts on, without line ends. */
const acting = /[^\P{Cc}\n\t]|[\p{Cf}\p{Zl}\p{Zp}]/u;

/** Begins a line if what is from outside has one. */
const forged = 'FORGED';
const pieces = [
  `\n${forged}`,
  `\r\n${forged}`,
  `\u2028${forged}`,
  `\u0085${forged}`,
  `\r${forged}\u001b[K`,
  '\u001b[31m',
  '\u001b]0;title\u0007',
  '\u009b2J',
  '\u202e',
  '\u2066',
  '\u200f',
  '\u{e0041}',
  '\u0000',
  '\u0008',
  '\u007f',
];
const hostile = fc.shuffledSubarray(pieces, { minLength: 4 }).map((parts) => `a\n${forged}${parts.join('b')}z`);

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

/** What a hostile registry has: every text that it can choose is `text`. */
function contentOf(text: string) {
  const annotations = {
    [text]: text,
    'org.opencontainers.image.ref.name': text,
    'org.opencontainers.image.title': text,
  };
  const names = [text.replaceAll('\0', ''), `${forged}/x`, 'file'];
  const files = names.map((name) => [pax({ path: name, linkpath: name }), { data: text, flag: '0' }] as const);
  const layer = sampleOf(
    archive(...files.flat(), { name: 'link', flag: '2', link: names[0]?.slice(0, 60) ?? '' }, end),
    mediaTypes.ociLayer,
  );
  const strange = sampleOf(Buffer.from(text), `application/${text}`);
  const config = sampleOf(
    json({ os: 'linux', architecture: 'amd64', config: { Env: [text] }, created: text }),
    mediaTypes.ociConfig,
  );
  const manifest = sampleOf(
    json({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      artifactType: text,
      config: config.descriptor,
      layers: [layer.descriptor],
      annotations,
    }),
    mediaTypes.ociManifest,
  );
  const other = sampleOf(
    json({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: strange.descriptor,
      layers: [strange.descriptor],
      annotations,
    }),
    mediaTypes.ociManifest,
  );
  const platform = { os: 'linux', architecture: 'amd64' };
  const index = sampleOf(
    json({
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: [
        { ...manifest.descriptor, platform, annotations, artifactType: text },
        {
          ...other.descriptor,
          platform: { os: text, architecture: text, variant: text, 'os.version': text },
          annotations,
        },
        { ...other.descriptor, mediaType: text, annotations, urls: [`https://${text}/`] },
      ],
      annotations,
    }),
    mediaTypes.ociIndex,
  );
  return { layer, strange, config, manifest, other, index };
}

type Content = ReturnType<typeof contentOf>;

/** As much of a text as a header of HTTP may have: C1, too. */
const headerText = (text: string): string =>
  Buffer.from(Buffer.from(text).filter((byte) => byte >= 32 && ![34, 92, 127].includes(byte))).toString('latin1');

/** A registry whose every word is `text`; `app` works, `bad-404` fails with that status. */
async function registryOf(text: string, content: Content): Promise<string> {
  const samples = Object.values(content);
  const { port } = await rawServer((socket) => {
    socket
      .on('error', () => {})
      .on('data', (bytes) => {
        const [, method, url = ''] = /^(\S+) (\S+)/.exec(bytes.toString('latin1')) ?? [];
        const { pathname } = new URL(url, 'http://localhost');
        const [, status = '404'] = /^\/v2\/bad-(\d+)/.exec(pathname) ?? [];
        const found = samples.find(({ descriptor }) => pathname.endsWith(descriptor.digest));
        const [code, body, type]: readonly [string, Uint8Array, string] = pathname.includes('/bad-')
          ? [status, json({ errors: [{ code: text, message: text, detail: { [text]: text } }] }), 'application/json']
          : pathname === '/v2/'
            ? ['200', json({}), 'application/json']
            : pathname.includes('/tags/list')
              ? ['200', json({ name: text, tags: [text, 'latest'] }), 'application/json']
              : pathname.includes('/referrers/')
                ? ['200', content.index.bytes, mediaTypes.ociIndex]
                : pathname.endsWith('/manifests/latest')
                  ? ['200', content.index.bytes, mediaTypes.ociIndex]
                  : found
                    ? ['200', found.bytes, headerText(found.descriptor.mediaType)]
                    : [status, json({ errors: [{ code: 'UNKNOWN', message: text }] }), 'application/json'];
        const head = [
          `HTTP/1.1 ${code} ${headerText(text).replace(/[^\x20-\x7e]/g, '')}`,
          `content-type: ${type}`,
          `content-length: ${body.length}`,
          `warning: 299 - "${headerText(text)}"`,
          `www-authenticate: Basic realm="${headerText(text)}"`,
          'connection: close',
        ].join('\r\n');
        socket.end(
          Buffer.concat([Buffer.from(`${head}\r\n\r\n`, 'latin1'), method === 'HEAD' ? Buffer.alloc(0) : body]),
        );
      });
  });
  return `127.0.0.1:${port}`;
}

/** A prepared layout, whose names, entries and files are `text`. */
async function layoutOf(directory: string, text: string, { index, manifest }: Content): Promise<void> {
  const name = text.replaceAll(/[\0/]/g, '');
  const entries = [index, manifest].map(({ descriptor }) => ({
    ...descriptor,
    annotations: { 'org.opencontainers.image.ref.name': text },
  }));
  const files: Readonly<Record<string, Uint8Array>> = {
    'oci-layout': json({ imageLayoutVersion: '1.0.0' }),
    'index.json': json({ schemaVersion: 2, manifests: [...entries, { digest: text, mediaType: text, size: text }] }),
    [`blobs/${index.descriptor.digest.replace(':', '/')}`]: index.bytes,
    [`blobs/${manifest.descriptor.digest.replace(':', '/')}`]: Buffer.from(text),
    [`blobs/sha256/${name}`]: Buffer.from(text),
    [`.ocifetch/${name}`]: Buffer.from(text),
  };
  for (const [path, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), bytes);
  }
}

/** Commands that print content, in which lines are its own. */
const printsContent: ReadonlySet<string> = new Set(['cat', 'get', 'manifest', 'config']);

async function linesFor(text: string): Promise<string[][]> {
  const content = contentOf(text);
  const host = await registryOf(text, content);
  const word = JSON.stringify(text);
  const { path } = await folder({
    'registries.yaml': `mirrors:\n  ${word}:\n    endpoint: [${word}, "http://[${text.replace(/[^ -~]/g, '')}"]\n    ${word}: 1\n`,
    'own.yaml': `registries:\n  "127.0.0.1":\n    ${word}: ${word}\n`,
    'config.json': json({ auths: { [text]: { auth: text } }, credHelpers: { [text]: text }, [text]: text }).toString(),
    'registries.conf': `unqualified-search-registries = [${word}]\n[[registry]]\nlocation = ${word}\n`,
    'raw.yaml': text,
    'raw.toml': `a = "${text}`,
  });
  await layoutOf(path('layout'), text, content);
  const name = `${host}/app`;
  const { config, layer, strange, other } = content;
  const ends = [config, layer, strange, other].map(({ descriptor }) => `${name}@${descriptor.digest}`);
  const safe = text.replaceAll('\0', '');
  const bad = ['401', '403', '404'].map((status) => `${host}/bad-${status}:latest`);
  const lines = [
    ...[name, ...ends.slice(2), ...bad, `${name}:${safe}`, safe].flatMap((reference) => [
      ['manifest', reference],
      ['config', reference],
      ['plan', reference],
      ['ls', '-R', reference],
      ['pull', '--platform', 'all', reference, path('fresh')],
    ]),
    ...ends.map((reference) => ['get', reference]),
    ...[...bad, name].flatMap((reference) => [
      ['tags', reference.replace(/:latest$/, '')],
      ['referrers', reference],
      ['doctor', reference],
    ]),
    ['manifest', `${host}/bad-500`],
    ['manifest', '--platform', 'plan9/mips', name],
    ['cat', name, 'file'],
    ['cat', name, safe],
    ['ls', name, safe],
    ['pull', name, path('layout'), '--platform', 'linux/amd64'],
    ['pull', name, path('other'), '--platform', safe],
    ['verify', path('layout')],
    ['gc', '--dry-run', path('layout')],
    ['gc', path('layout')],
    ['verify', safe],
    [safe],
    ['pull', `--${safe}`],
    ...['registries.yaml', 'own.yaml', 'config.json', 'registries.conf', 'raw.yaml', 'raw.toml'].flatMap((file) => [
      ['config', 'check', path(file)],
      ['config', 'convert', '--to', 'ocifetch', path(file)],
    ]),
    ['config', 'show', '--registries-yaml', path('registries.yaml')],
    ['config', 'show', '--docker-config', path('config.json')],
    ['plan', name, '--config', path('own.yaml')],
  ];
  return lines.map(([command = '', ...more]) => [
    command,
    ...more,
    ...(['verify', 'gc'].includes(command) || more[0] === 'check' || more[0] === 'convert' ? [] : ['--no-discover']),
  ]);
}

test('nothing from outside that a terminal acts on reaches one, and no line is forged, in any command', async () => {
  await fc.assert(
    fc.asyncProperty(hostile, async (text) => {
      const works = new Set<string>();
      for (const line of await linesFor(text)) {
        for (const more of [[], ['--json']]) {
          // Without colours of our own.
          const { code, out, err } = await run([...line, ...more], { DEBUG: '1', NO_COLOR: '1', TERM: 'dumb' }, true);
          if (code === 0 && [...out, ...err].join('').includes(forged)) works.add(line[0] ?? '');
          const shown = JSON.stringify([...line, ...more]);
          for (const each of [...out, ...err]) {
            expect(acting.test(each) && { shown, each }).toBe(false);
            expect(/TypeError|ReferenceError|RangeError/.test(each) && { shown, each }).toBe(false);
          }
          const own = printsContent.has(line[0] ?? '') ? err : [...out, ...err];
          expect(own.filter((each) => each.startsWith(forged)).map((each) => ({ shown, each }))).toEqual([]);
        }
      }
      // The text is in what they print, also when nothing is wrong; `cat` refuses it if it is binary.
      expect([...works]).toEqual(
        expect.arrayContaining(['config', 'get', 'ls', 'manifest', 'pull', 'referrers', 'tags']),
      );
    }),
    { numRuns: 1 + Number(process.env.FUZZ_RUNS ?? 0) },
  );
});
