import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const source = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: /^ocifetch\/server$/, replacement: source('./src/server/index.ts') },
      { find: /^ocifetch\/testing$/, replacement: source('./src/testing/index.ts') },
      { find: /^ocifetch$/, replacement: source('./src/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/toolchains/**', 'test/interop/**'],
    setupFiles: ['test/support/setup.ts'],
    testTimeout: 20_000,
    // Files share a process, which loads src, zod and undici once; a process for each file takes a third more CPU time.
    // So a test restores what it changes of the process: environment, timers, globals, mocks, listeners.
    isolate: false,
    // Not threads, which have no process.chdir(): the tests of credential helpers need it.
    pool: 'forks',
    // By default one core stays free, so a machine with two cores would run one file at a time.
    maxWorkers: '100%',
    // Machines of CI are shared, and tests of time limits feel it; what fails twice fails.
    retry: process.env.CI ? 1 : 0,
  },
});
