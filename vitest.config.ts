import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/postgres.ts',
    testTimeout: 20_000,
    hookTimeout: 30_000,
    // What became of cancelled queries; the library writes it past our log.
    onConsoleLog: (line) => !line.includes('failed in the background after abortion'),
    // Every file runs a whole service; more at once than cores only makes each of them slower.
    maxWorkers: 2,
  },
});
