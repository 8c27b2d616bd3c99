import diagnosticsChannel from 'node:diagnostics_channel';
import { once } from 'node:events';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { type ClientEvent, createEmit } from '../src/events.ts';
import { createClient } from '../src/remote/client.ts';
import { samples } from './contract/source.ts';
import { createHosts, sampleHost } from './support/hosts.ts';

const types = ['request', 'attempt', 'wait', 'switch', 'progress', 'verified', 'skip', 'warning'] as const;
const warning: ClientEvent = { type: 'warning', text: 'careful' };

test('the channels of diagnostics_channel tell what onEvent is told, each its own type', async () => {
  const published: unknown[] = [];
  const listeners = types.map((type) => {
    const listen = (event: unknown): void => {
      expect((event as ClientEvent).type).toBe(type);
      published.push(event);
    };
    diagnosticsChannel.subscribe(`ocifetch:${type}`, listen);
    return () => diagnosticsChannel.unsubscribe(`ocifetch:${type}`, listen);
  });
  const told: ClientEvent[] = [];
  const { transport } = createHosts({ 'origin.test': await sampleHost() });
  const client = createClient({
    transport,
    onEvent: (event) => told.push(event),
    config: { registries: { 'origin.test': { mirrors: [{ url: 'https://dead.test' }] } } },
  });
  await client.resolve('origin.test/app');
  await (await client.fetcher('origin.test/app').fetch(samples.large.descriptor)).bytes();
  for (const stop of listeners) stop();
  expect(new Set(told.map(({ type }) => type))).toEqual(
    new Set(['request', 'attempt', 'skip', 'switch', 'progress', 'verified']),
  );
  expect(published).toEqual(told);
});

test('without listeners nothing is needed, and one that throws neither disturbs nor is silent', async () => {
  createEmit()(warning);
  const warned = once(process, 'warning');
  createEmit(() => {
    throw new Error('a listener at fault');
  })(warning);
  expect((await warned)[0]).toMatchObject({ message: 'a listener at fault' });
});

test('a transfer whose listener throws ends well', async () => {
  const warned = once(process, 'warning');
  const { transport } = createHosts({ 'origin.test': await sampleHost() });
  const onEvent = (): void => {
    throw new Error('always');
  };
  const client = createClient({ transport, onEvent });
  const content = await client.fetcher('origin.test/app').fetch(samples.large.descriptor);
  expect(Buffer.compare(await content.bytes(), samples.large.bytes)).toBe(0);
  expect((await warned)[0]).toMatchObject({ message: 'always' });
});

test('an async listener that rejects is a warning of the process, which continues', async () => {
  const warned = once(process, 'warning');
  createEmit(async () => {
    await Promise.resolve();
    throw new RangeError('too late');
  })(warning);
  expect((await warned)[0]).toMatchObject({ name: 'RangeError', message: 'too late' });
});

test('what a listener throws is a warning whatever it is: an error of another realm, a text', async () => {
  for (const [thrown, message] of [
    [runInNewContext('new TypeError("elsewhere")'), 'elsewhere'],
    ['only text', 'only text'],
    [undefined, 'undefined'],
  ]) {
    const warned = once(process, 'warning');
    createEmit(() => {
      throw thrown;
    })(warning);
    expect((await warned)[0]).toMatchObject({ message });
  }
});
