import { expect, onTestFinished, test, vi } from 'vitest';
import { helperCredentials } from '../../../src/config/docker/helper-credentials.ts';
import { helperPrograms, isRunning, until } from '../helper-programs.ts';

const programs = helperPrograms();
const commands = async (): Promise<string[]> => (await programs.asked()).map(({ command }) => command);

test('a host has its own helper, any other the store, and Docker Hub its old name', async () => {
  const provider = helperCredentials({
    credsStore: 'test',
    credHelpers: { 'own.example:443': 'test', 'none.example': '' },
  });
  await commands();
  for (const host of ['own.example', 'other.example:5000', 'registry-1.docker.io', 'none.example']) {
    await provider(host, { repository: 'team/app' });
  }
  expect(await commands()).toEqual([
    'get own.example:443',
    'get other.example:5000',
    'get https://index.docker.io/v1/',
  ]);
});

test('the fallback is called with the same arguments if no helper has a login', async () => {
  const asked: unknown[] = [];
  const provider = helperCredentials({
    credHelpers: { 'unknown.example': 'test' },
    fallback: (host, { repository }) => {
      asked.push([host, repository]);
      return { registryToken: host };
    },
  });
  expect(await provider('unknown.example', { repository: 'a' })).toEqual({ registryToken: 'unknown.example' });
  expect(await provider('elsewhere.example', {})).toEqual({ registryToken: 'elsewhere.example' });
  expect(asked).toEqual([
    ['unknown.example', 'a'],
    ['elsewhere.example', undefined],
  ]);
});

test('a helper runs once for all who want the same, and its login is kept for its lifetime', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  onTestFinished(() => void vi.useRealTimers());
  const provider = helperCredentials({ credsStore: 'test', lifetime: 2000 });
  await commands();
  const logins = await Promise.all(['slow.a', 'slow.a', 'slow.b'].map((host) => provider(host, {})));
  expect(logins).toEqual(Array(3).fill({ username: 'user', password: 'slow secret' }));
  expect((await commands()).sort()).toEqual(['get slow.a', 'get slow.b']);
  await helperCredentials({ credsStore: 'test' })('slow.a', {});
  expect(await commands()).toEqual([]);
  vi.setSystemTime(Date.now() + 2000);
  await provider('slow.a', {});
  expect(await commands()).toEqual(['get slow.a']);
});

test('a kept login that a host refused is requested again, and once only if it is the same', async () => {
  const provider = helperCredentials({ credsStore: 'test' });
  const refused = await provider('slow.refused', {});
  if (!refused) throw new Error('no login');
  await commands();
  expect(await provider('slow.refused', {})).toEqual(refused);
  expect(await provider('slow.refused', { refused: { registryToken: 'of another time' } })).toEqual(refused);
  expect(await commands()).toEqual([]);
  for (let time = 0; time < 3; time++) expect(await provider('slow.refused', { refused })).toEqual(refused);
  expect(await commands()).toEqual(['get slow.refused']);
});

test('a failure is not kept', async () => {
  const provider = helperCredentials({ credsStore: 'test' });
  await commands();
  for (let time = 0; time < 2; time++) {
    await expect(provider('locked.c', {})).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  }
  expect(await commands()).toHaveLength(2);
});

test('who leaves does not take the answer from the others', async () => {
  const provider = helperCredentials({ credsStore: 'test' });
  const controller = new AbortController();
  const leaving = provider('slow.d', { signal: controller.signal });
  const staying = provider('slow.d', {});
  controller.abort(new Error('enough'));
  await expect(leaving).rejects.toMatchObject({ code: 'ABORTED' });
  expect(await staying).toEqual({ username: 'user', password: 'slow secret' });
  await expect(provider('slow.d', { signal: controller.signal })).rejects.toMatchObject({ code: 'ABORTED' });
});

test('the helper is killed when the last has left, and runs again for the next', async () => {
  const provider = helperCredentials({ credsStore: 'test', timeout: 10_000 });
  await programs.asked();
  const controllers = [new AbortController(), new AbortController()];
  const leaving = controllers.map(({ signal }) => provider('hanging.e', { signal }));
  let pid = 0;
  await until(async () => {
    pid = (await programs.asked())[0]?.pid ?? 0;
    return pid !== 0;
  });
  controllers[0]?.abort();
  await expect(leaving[0]).rejects.toMatchObject({ code: 'ABORTED' });
  expect(isRunning(pid)).toBe(true);
  controllers[1]?.abort();
  await expect(leaving[1]).rejects.toMatchObject({ code: 'ABORTED' });
  await until(() => !isRunning(pid));
  const soon = helperCredentials({ credsStore: 'test', timeout: 300 });
  await expect(soon('hanging.e', {})).rejects.toMatchObject({ code: 'TIMEOUT' });
});
