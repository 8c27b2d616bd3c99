import { type Fault, testRegistry } from 'ocifetch/testing';
import { expect, test } from 'vitest';
import { fileOptions, limitsOf, listOptions } from '../../src/cli/limits.ts';
import { configJsonSchema } from '../../src/config/json-schema.ts';
import { sampleOf } from '../contract/source.ts';
import { atEnd } from '../support/http.ts';
import { answers, folder, registry, run } from './support.ts';

const indexType = 'application/vnd.oci.image.index.v1+json';

/** An index of about six MiB, as indexes of many images with annotations are. */
const annotations = { note: 'x'.repeat(6 * 2 ** 20) };
const large = sampleOf(
  Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests: [], annotations })),
);

/** A registry whose responses have these faults; closed with the test. */
async function faulty(...faults: readonly Fault[]) {
  const registry = await testRegistry({ faults });
  atEnd(registry.close);
  return { requests: registry.requests, reference: `${registry.host}/app` };
}

async function registryOf({ bytes, descriptor }: typeof large): Promise<string> {
  const headers = { 'content-type': indexType, 'docker-content-digest': descriptor.digest };
  return (await faulty({ status: 200, body: bytes, headers })).reference;
}

test('an index over the limit is refused by the name of the limit, of its flag and of its key', async () => {
  const reference = await registryOf(large);
  const { code, err } = await run(['manifest', '--no-discover', reference]);
  expect(code).toBe(7);
  expect(err.join(' ')).toMatch(/the limit "limits.manifestBytes" is 4194304/);
  expect(err.join(' ')).toContain("--manifest-bytes, or limits.manifestBytes of ocifetch's own file, changes it.");
});

test('with the flag, or with the key of the file, it is pulled, verified and kept by gc', async () => {
  const reference = await registryOf(large);
  const { path } = await folder({ 'ocifetch.yaml': 'limits: { manifestBytes: 8388608 }' });
  const flag = ['--no-discover', '--manifest-bytes', '8MiB'];
  expect((await run(['manifest', ...flag, '--json', reference])).err).toEqual([]);
  const file = ['--config', path('ocifetch.yaml')];
  for (const [index, how] of [flag, file].entries()) {
    const layout = path(`layout-${index}`);
    expect(await run(['pull', ...how, '--platform', 'all', reference, layout])).toMatchObject({ code: 0 });
    expect(await run(['verify', layout])).toMatchObject({ code: 0 });
    expect(await run(['gc', layout])).toMatchObject({ code: 0 });
    expect(await run(['verify', layout])).toMatchObject({ code: 0 });
  }
});

test('a response that is too late is refused by the name of the flag and of the key', async () => {
  const { reference } = await faulty({ delay: 60_000 });
  const args = ['tags', '--no-discover', '--retries', '0', '--timeout', '50ms', reference];
  const { code, err } = await run(args);
  expect(code).toBe(6);
  expect(err.join(' ')).toContain('not done in 50 ms. Run "ocifetch doctor"');
  expect(err.join(' ')).toContain("--timeout, or timeouts.headers of ocifetch's own file, changes it.");
});

test('so is a body that stops', async () => {
  const { reference } = await faulty({ body: { name: 'app', tags: [] }, status: 200, stall: 7 });
  const args = ['tags', '--no-discover', '--retries', '0', '--idle-timeout', '50ms', reference];
  const { code, err } = await run(args);
  expect(code).toBe(6);
  expect(err.join(' ')).toContain('no byte came in 50 ms');
  expect(err.join(' ')).toContain("--idle-timeout, or timeouts.idle of ocifetch's own file, changes it.");
});

test('--retries is the number of further requests', async () => {
  for (const [flag, count] of [
    ['0', 1],
    ['1', 2],
  ] as const) {
    const { reference, requests } = await faulty({ status: 503 });
    const { err } = await run(['tags', '--no-discover', '--retries', flag, reference]);
    expect(requests).toHaveLength(count);
    expect(err.join(' ')).toContain('--retries tries more often.');
  }
});

test.each([
  ['--timeout', '0', 'a time above 0, such as 90s or 2m: "0"'],
  ['--timeout', '5x', 'a time above 0, such as 90s or 2m: "5x"'],
  ['--idle-timeout', '600h', 'a time above 0, such as 90s or 2m: "600h"'],
  ['--retries', '-1', 'a whole number, such as 20: "-1"'],
  ['--retries', '1.5', 'a whole number, such as 20: "1.5"'],
  ['--pages', '0', 'a whole number above 0, such as 20: "0"'],
  ['--connect-timeout', '', 'a value: --connect-timeout TIME'],
  ['--manifest-bytes', '0', 'a size above 0, such as 8MiB or 500kB: "0"'],
  ['--discard-bytes', 'much', 'a size, such as 8MiB or 500kB: "much"'],
])('%s %s is a wrong command line', async (flag, value, found) => {
  const { code, err } = await run(['tags', '--no-discover', `${flag}=${value}`, '127.0.0.1:1/app']);
  expect(code).toBe(2);
  expect(err.join(' ')).toContain(`Flag "${flag}" needs ${found}`);
});

test("ocifetch's own file may not have limits that no client takes", async () => {
  const { path } = await folder({
    'ocifetch.yaml': 'timeouts: { headers: 0, idel: 5 }\nretries: { tries: 1.5 }\nlimits: 7\n',
  });
  const { code, out } = await run(['config', 'check', path('ocifetch.yaml')]);
  expect(code).not.toBe(0);
  const text = out.join('\n');
  expect(text).toMatch(/timeouts\.headers: found the number 0, expected a whole number from 1 on/);
  expect(text).toMatch(/timeouts\.idel: unknown key "idel", did you mean "idle"\?/);
  expect(text).toMatch(/retries\.tries: found the number 1\.5, expected a whole number/);
  expect(text).toMatch(/limits: found the number 7, expected an object of numbers/);
});

test('each limit of the file has a flag, with which it is what the flag says', () => {
  const { properties = {} } = configJsonSchema() as { properties?: Record<string, { properties?: object }> };
  const keys = ['timeouts', 'retries', 'limits'].flatMap((group) =>
    Object.keys(properties[group]?.properties ?? {}).map((key) => `${group}.${key}`),
  );
  const options = Object.entries({ ...listOptions, ...fileOptions });
  expect(options.map(([, { key }]) => key).sort()).toEqual(keys.sort());
  const texts = Object.fromEntries(
    options.map(([flag, { value }]) => [flag, { TIME: '7ms', SIZE: '7B', WHEN: 'never' }[value as string] ?? '7']),
  );
  const { timeouts = {}, retries = {}, limits = {} } = limitsOf({ texts });
  const found = Object.entries({ timeouts, retries, limits }).flatMap(([group, values]) =>
    Object.entries(values).map(([key, value]) => [`${group}.${key}`, value]),
  );
  expect(Object.fromEntries(found)).toEqual(
    Object.fromEntries(keys.map((key) => [key, key === 'retries.tries' ? 8 : key === 'limits.split' ? 'never' : 7])),
  );
});

const endless = answers(200, JSON.stringify({ name: 'a', tags: ['t1'] }), 'application/json', {
  link: '</v2/a/tags/list?last=1>; rel="next"',
});
const around = answers(307, '', 'text/plain', { location: '/v2/a/tags/list' });
const later = answers(429, '', 'text/plain', { 'retry-after': '90' });

test.each([
  ['tags', '--pages', '1', 'limits.pages', endless],
  ['tags', '--list-bytes', '8', 'limits.listBytes', endless],
  ['tags', '--redirects', '2', 'limits.redirects', around],
  ['tags', '--operation-timeout', '20ms', 'timeouts.operation', () => () => new Promise<never>(() => {})],
])('%s %s %s is a limit that its error names, with its key', async (command, flag, value, key, gate) => {
  const { port } = await registry({ gate });
  const { err } = await run([command, '--no-discover', flag, value, `127.0.0.1:${port}/a`]);
  expect(err.join(' ')).toContain(`${flag}, or ${key} of ocifetch's own file, changes it.`);
});

test('a wait that is longer than the limit names the limit, and is obeyed with the flag', async () => {
  const { port } = await registry({ gate: later });
  const { err } = await run(['tags', '--no-discover', `127.0.0.1:${port}/a`]);
  expect(err.join(' ')).toContain('--retry-after, or timeouts.retryAfter');
  const soon = ['--retry-after', '2m', '--operation-timeout', '100ms'];
  const waiting = await run(['tags', '--no-discover', ...soon, `127.0.0.1:${port}/a`]);
  expect(waiting.err.join(' ')).toContain('timeouts.operation');
});

test('the help of a command lists its limits apart', async () => {
  const { out } = await run(['tags', '--help']);
  const at = out.indexOf("Limits, in place of ocifetch's own file:");
  expect(out.slice(at).join('\n')).toMatch(/--connect-timeout TIME .*\n.*--pages N/s);
  expect(out.slice(0, at).join('\n')).not.toContain('--pages');
});

test('--split takes auto, always or never, and says so of anything else', async () => {
  expect(limitsOf({ texts: { split: 'never' } })).toMatchObject({ limits: { split: 'never' } });
  const { code, err } = await run(['manifest', '--no-discover', '--split', 'nevr', 'a.test/b']);
  expect(code).toBe(2);
  expect(err.join(' ')).toContain('Unknown --split "nevr": did you mean "never"?');
});
