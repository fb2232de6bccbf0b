import { defineConfig } from 'vitest/config';

/** Tests run as they ship: compiled by `tsc -b` into each package's `dist`. */
export default defineConfig({
  test: {
    include: ['{libs,services}/*/dist/**/*.test.js', 'test/dist/**/*.test.js'],
    exclude: ['**/node_modules/**'],
    pool: 'forks',
    testTimeout: 60_000,
    hookTimeout: 60_000,
    /** Programs a test starts print plain text, wherever the tests run (a CI has `CI` or `FORCE_COLOR` set). */
    env: { NO_COLOR: '1', FORCE_COLOR: '' },
  },
});
