import { expect, test } from 'vitest';
import { RegistryError } from '../../src/errors.ts';
import type { ClientEvent } from '../../src/events.ts';
import type { Transport } from '../../src/http/transport.ts';
import { log } from '../../src/remote/log.ts';
import { failureOf, recording, textOf } from '../support/http.ts';

function logged(transport: Transport) {
  const events: ClientEvent[] = [];
  return { events, send: log((event) => events.push(event))(transport) };
}

const url = 'https://user:secret@registry.test/v2/a?ns=docker.io&signature=secret#secret';

test('an exchange is reported once, when its body has ended, with its bytes and without secrets', async () => {
  const { transport } = recording(() => ({ status: 206, body: 'content' }));
  const { events, send } = logged(transport);
  const headers = { range: 'bytes=5-9', authorization: 'Bearer secret' };
  const response = await send({ method: 'GET', url, headers });
  expect(events).toEqual([]);
  await textOf(response);
  await response.body.cancel();
  expect(events).toEqual([
    {
      type: 'request',
      method: 'GET',
      url: 'https://registry.test/v2/a?ns=docker.io&signature=***',
      range: 'bytes=5-9',
      status: 206,
      outcome: 'ok',
      duration: expect.any(Number),
      bytes: 7,
    },
  ]);
  expect(JSON.stringify(events)).not.toContain('secret');
});

test('a body that is left is ABORTED with the bytes that were read, whatever the reason was', async () => {
  const { transport } = recording(() => ({ body: 'content' }));
  const { events, send } = logged(transport);
  for (const reason of [undefined, new Error('enough'), 'enough']) {
    const response = await send({ method: 'GET', url });
    await response.body.cancel(reason);
    await response.ended;
  }
  expect(events.map((event) => event.type === 'request' && [event.outcome, event.bytes])).toEqual([
    ['ABORTED', 0],
    ['ABORTED', 0],
    ['ABORTED', 0],
  ]);
});

test('a failure is reported with its code, and no status', async () => {
  const { events, send } = logged(() => Promise.reject(new RegistryError('TIMEOUT', 'too late')));
  await failureOf(send({ method: 'HEAD', url }));
  expect(events).toEqual([expect.objectContaining({ type: 'request', method: 'HEAD', outcome: 'TIMEOUT', bytes: 0 })]);
  expect(events[0]).not.toHaveProperty('status');
});
