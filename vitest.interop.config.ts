import { defineConfig } from 'vitest/config';
import unit from './vitest.config.ts';

/** Against real servers: `npm run test:interop`. What it needs is named where it is missing. */
export default defineConfig({
  ...unit,
  test: {
    include: ['test/interop/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 10_000,
    // Each file starts servers of its own: a few at a time are enough for a small machine.
    maxWorkers: 2,
  },
});
