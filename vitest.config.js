import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { BaseSequencer } from 'vitest/node';

const kafka = '**/*.kafka.test.js';
const docker = '**/*.docker.test.js';
const python = '**/*.python.test.js';
const tensorflow = '**/*.tensorflow.test.js';
const methods = '**/*.methods.test.js';
const life = '**/*.life.test.js';
const containers = 'test/dist/containers/**/*.test.js';

/** Patterns of `files` in every package, and in the tests that cross packages. */
const everywhere = (files) => [`{libs,services}/*/dist/${files}`, `test/{broker/,}dist/${files}`];

/** Files one after another, for each keeps a small machine busy; its setup only runs when some of them do. */
const shared = (...setups) => ({
  fileParallelism: false,
  globalSetup: setups.map((setup) => `test/broker/dist/vitest/${setup}.js`),
});

/** Runs of the whole platform take the longest, and begin first: at the end every core has work. */
class LongestFirst extends BaseSequencer {
  async sort(files) {
    const sorted = await super.sort(files);
    const isLong = ({ moduleId }) => /\/test\/dist\//.test(moduleId);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

/** Tests run as they ship: compiled by `tsc -b` into each package's `dist`. */
export default defineConfig({
  test: {
    pool: 'forks',
    /** Vitest would leave a core to itself: of two, that is half. */
    maxWorkers: Math.max(2, availableParallelism() - 1),
    reporters: ['dot'],
    /** What a test prints is shown when it fails. */
    silent: 'passed-only',
    sequence: { sequencer: LongestFirst },
    testTimeout: 180_000,
    hookTimeout: 180_000,
    setupFiles: ['test/broker/dist/vitest/equality.js'],
    /** Programs a test starts print plain text, wherever the tests run (a CI has `CI` or `FORCE_COLOR` set). */
    env: { NO_COLOR: '1', FORCE_COLOR: '' },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          /** Files of a worker share its modules, which take longer to load than most tests: what a file changes of them, it restores. */
          isolate: false,
          include: everywhere('**/*.test.js'),
          exclude: ['**/node_modules/**', kafka, docker, python, tensorflow, containers, methods, life],
        },
      },
      {
        extends: true,
        test: {
          name: 'kafka',
          include: everywhere(kafka),
          exclude: ['**/node_modules/**', containers],
          ...shared('kafka'),
        },
      },
      {
        extends: true,
        test: {
          name: 'docker',
          include: everywhere(docker),
          exclude: ['**/node_modules/**', containers],
          ...shared('docker'),
        },
      },
      { extends: true, test: { name: 'life', include: everywhere(life) } },
      { extends: true, test: { name: 'methods', include: everywhere(methods) } },
      { extends: true, test: { name: 'python', include: everywhere(python) } },
      {
        extends: true,
        test: { name: 'containers', include: [containers], exclude: [tensorflow], ...shared('docker') },
      },
      {
        extends: true,
        test: { name: 'tensorflow', include: everywhere(tensorflow), ...shared('docker', 'tensorflow') },
      },
    ],
  },
});
