/** Global setup of the tests of the tensorflow engine. */
import { createRequire } from 'node:module';
import type { TestProject } from 'vitest/node';
import './context.js';

const HOW = 'npm run install:tensorflow brings it';

export default function setup(project: TestProject): void {
  const installed = ['@tensorflow/tfjs-node', '@tensorflow/tfjs-node-gpu'].some(isInstalled);
  project.provide('tensorflow', installed);
  if (installed) return;
  if (process.env.REQUIRE_TENSORFLOW === '1')
    throw new Error(`expected TensorFlow for tests that need it: ${HOW}`);
  process.stderr.write(`Suites of the tensorflow engine are skipped: ${HOW}\n`);
}

function isInstalled(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return false;
    throw error;
  }
}
