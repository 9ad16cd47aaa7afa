import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/postgres.ts',
    testTimeout: 20_000,
    hookTimeout: 30_000,
    // Every file runs a whole service; more at once than cores only makes each of them slower.
    maxWorkers: 2,
  },
});
