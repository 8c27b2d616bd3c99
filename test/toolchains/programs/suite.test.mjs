// Run by Jest and vitest, whose globals it uses.
import * as api from 'ocifetch';
import * as server from 'ocifetch/server';
import { scenario } from './scenario.mjs';

globalThis.test('the scenario', async () => {
  const result = await scenario(api, server);
  globalThis
    .expect(result)
    .toEqual({ bytes: 300_000, checked: 3, wrong: 0, code: 'NOT_FOUND', mirrored: 'docker.io', ours: true });
});
