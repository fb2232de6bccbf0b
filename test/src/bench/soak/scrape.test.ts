import { createTelemetry } from '@rlhf-streams/service/telemetry';
import { expect, it } from 'vitest';
import { sum } from './scrape.js';

it('reads what a service says, with labels and without', async () => {
  const telemetry = createTelemetry({ service: 'test' });
  const lag = telemetry.meter.createGauge('consumer_lag');
  lag.record(3, { topic: 'prompts', note: 'a} b' });
  lag.record(4, { topic: 'rollouts' });
  const text = await telemetry.metricsText();
  await telemetry.shutdown();
  expect(sum(text, 'consumer_lag')).toBe(7);
  expect(sum(text, 'process_resident_memory_bytes')).toBeGreaterThan(10 * 1024 * 1024);
  expect(() => sum(text, 'no_such_metric')).toThrow('expected samples of no_such_metric');
});
