import { expect, test } from 'vitest';
import { sampleOf } from '../contract/source.ts';
import { httpServer } from '../support/http.ts';
import { folder, run } from './support.ts';

const indexType = 'application/vnd.oci.image.index.v1+json';

/** An index of about six MiB, as indexes of many images with annotations are. */
const annotations = { note: 'x'.repeat(6 * 2 ** 20) };
const large = sampleOf(
  Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests: [], annotations })),
);

async function registryOf({ bytes, descriptor }: typeof large, delay = 0): Promise<string> {
  const { port } = await httpServer((_request, response) => {
    setTimeout(() => {
      response.writeHead(200, {
        'content-type': indexType,
        'content-length': bytes.length,
        'docker-content-digest': descriptor.digest,
      });
      response.end(bytes);
    }, delay);
  });
  return `127.0.0.1:${port}/app`;
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
  const reference = await registryOf(large, 60_000);
  const args = ['tags', '--no-discover', '--retries', '0', '--timeout', '50ms', reference];
  const { code, err } = await run(args);
  expect(code).toBe(6);
  expect(err.join(' ')).toContain('not done in 50 ms. Run "ocifetch doctor"');
  expect(err.join(' ')).toContain("--timeout, or timeouts.headers of ocifetch's own file, changes it.");
});

test('so is a body that stops', async () => {
  const { port } = await httpServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.write('{"name"');
  });
  const args = ['tags', '--no-discover', '--retries', '0', '--idle-timeout', '50ms', `127.0.0.1:${port}/app`];
  const { code, err } = await run(args);
  expect(code).toBe(6);
  expect(err.join(' ')).toContain('no byte came in 50 ms');
  expect(err.join(' ')).toContain("--idle-timeout, or timeouts.idle of ocifetch's own file, changes it.");
});

test('--retries is the number of further requests', async () => {
  for (const [flag, requests] of [
    ['0', 1],
    ['1', 2],
  ] as const) {
    let count = 0;
    const { port } = await httpServer((_request, response) => {
      count += 1;
      response.writeHead(503).end();
    });
    const { err } = await run(['tags', '--no-discover', '--retries', flag, `127.0.0.1:${port}/app`]);
    expect(count).toBe(requests);
    expect(err.join(' ')).toContain('--retries tries more often.');
  }
});

test.each([
  ['--timeout', '0', 'a time above 0, such as 90s or 2m: "0"'],
  ['--timeout', '5x', 'a time above 0, such as 90s or 2m: "5x"'],
  ['--idle-timeout', '600h', 'a time above 0, such as 90s or 2m: "600h"'],
  ['--retries', '-1', 'a number from 0 to 999: "-1"'],
  ['--retries', '1.5', 'a number from 0 to 999: "1.5"'],
  ['--manifest-bytes', '0', 'a size above 0, such as 8MiB or 500kB: "0"'],
  ['--discard-bytes', 'much', 'a size above 0, such as 8MiB or 500kB: "much"'],
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
