import { expect, it } from 'vitest';
import { runStopSteps, type StopStep } from './stop-steps.js';

it('runs every step in order, whatever those before it did, and tells all', async () => {
  const order: string[] = [];
  const step = (what: string, run: () => Promise<void> = async () => {}): StopStep => ({
    what,
    run: () => {
      order.push(what);
      return run();
    },
  });
  const never = () => new Promise<void>(() => {});
  const steps = [
    step('first', never),
    step('second', () => Promise.reject(new Error('broken'))),
    step('third', never),
    step('fourth'),
  ];
  await expect(runStopSteps(steps, 40)).rejects.toMatchObject({
    code: 'RUNTIME_STOP_TIMEOUT',
    message: expect.stringMatching(/within 40 ms: first: .*; second: broken; third: /),
  });
  expect(order).toEqual(['first', 'second', 'third', 'fourth']);
});

it('tells a failure from a timeout', async () => {
  const broken: StopStep = { what: 'the worker', run: () => Promise.reject(new Error('broken')) };
  await expect(runStopSteps([broken], 1000)).rejects.toMatchObject({
    code: 'RUNTIME_STOP_FAILED',
    message: 'could not stop cleanly: the worker: broken',
  });
  await runStopSteps([], 1000);
});
