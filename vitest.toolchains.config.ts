import { defineConfig } from 'vitest/config';
import unit from './vitest.config.ts';

/** The packed package under other runtimes, runners and bundlers: `npm run test:toolchains`. Needs npm's registry. */
export default defineConfig({
  ...unit,
  test: {
    include: ['test/toolchains/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 600_000,
    maxWorkers: 1,
  },
});
