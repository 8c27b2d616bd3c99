import { expect, test } from 'vitest';
import { undiciTransport } from '../../src/http/undici.ts';
import { connectedTransportContract } from '../contract/connected-transport.ts';
import { atEnd, httpServer, textOf } from '../support/http.ts';

connectedTransportContract('undici', undiciTransport);

test('importing undici leaves the dispatcher of the process as it is, and its fetch works', async () => {
  const dispatchers = () =>
    ['1', '2'].map((number) => Reflect.get(globalThis, Symbol.for(`undici.globalDispatcher.${number}`)));
  const { url } = await httpServer((_request, response) => response.end('text'));
  const transport = undiciTransport();
  atEnd(() => transport.close());
  expect(await (await fetch(url)).text()).toBe('text');
  const before = dispatchers();
  expect(await textOf(await transport({ method: 'GET', url }))).toBe('text');
  expect(dispatchers().every((dispatcher, index) => dispatcher === before[index])).toBe(true);
  expect(await (await fetch(url)).text()).toBe('text');
});
