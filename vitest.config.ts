import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/postgres.ts',
    // Generous: the hash threads have the lowest priority, so on a machine that is busy otherwise they wait for long.
    testTimeout: 60_000,
    hookTimeout: 90_000,
    // What is waited for comes; how soon is another question, which the tests that ask it answer with a limit of their own.
    expect: { poll: { timeout: 20_000, interval: 10 } },
    // What became of cancelled queries; the library writes it past our log.
    onConsoleLog: (line) => !line.includes('failed in the background after abortion'),
    // A process runs one file after another, and keeps what it has loaded: to load the service anew for each file took a quarter of the time.
    isolate: false,
    // Every file runs a whole service. Some of them mostly wait, for processes and for time, so one more than two cores can work on.
    maxWorkers: 3,
  },
});
