import dns from 'node:dns';
import tls from 'node:tls';
import { generate } from 'selfsigned';
import { expect, test, vi } from 'vitest';
import { createAgent } from '../../src/http/connect.ts';
import { certificate } from '../server/certificate.ts';
import { atEnd, failureOf, rawServer } from '../support/http.ts';

test('a connection that cannot be begun fails at once, and its timer is not left behind', async () => {
  const { url } = await rawServer((socket) => void socket.resume());
  const origin = url.replace('http:', 'https:');
  const other = await generate([{ name: 'commonName', value: 'other' }], { keyType: 'ec', algorithm: 'sha256' });
  const modules = { undici: await import('undici'), dns, tls, trusted: () => [] };
  const group = { addresses: new Map<string, string>(), limits: new Map([[origin, 30]]) };
  const mismatched = { cert: certificate.cert, key: other.private };
  const agent = createAgent(modules, group, { policy: 'any', tls: mismatched, proxy: undefined });
  atEnd(() => agent.destroy());
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const error = await failureOf(agent.request({ origin, path: '/', method: 'GET' }));
  const armed = vi.getTimerCount();
  vi.useRealTimers();
  expect(error).toMatchObject({ code: 'ERR_OSSL_X509_KEY_VALUES_MISMATCH' });
  expect(armed).toBe(0);
});
