/** What the global setups of `vitest.config.js` provide: `inject('kafka')`, `inject('docker')`, `inject('tensorflow')`. */
import type {} from 'vitest';

/** The one broker of a test run, shared by its files. */
export interface ProvidedKafka {
  /** host:port */
  readonly brokers: string[];
  readonly source: 'environment' | 'docker' | 'java';
}

declare module 'vitest' {
  interface ProvidedContext {
    /** In `*.kafka.test.ts`; undefined where no broker can be had: such suites are skipped. */
    kafka: ProvidedKafka | undefined;
    /** In `*.docker.test.ts`: whether a Docker engine answers. */
    docker: boolean;
    /** In `*.tensorflow.test.ts`: whether `npm run install:tensorflow` has brought TensorFlow to this checkout. */
    tensorflow: boolean;
  }
}
