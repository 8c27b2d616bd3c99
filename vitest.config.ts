import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const source = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: /^ocifetch\/server$/, replacement: source('./src/server/index.ts') },
      { find: /^ocifetch$/, replacement: source('./src/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/interop/**'],
    testTimeout: 20_000,
    // Machines of CI are shared, and tests of time limits feel it; what fails twice fails.
    retry: process.env.CI ? 1 : 0,
  },
});
