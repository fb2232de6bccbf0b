import { context, trace } from '@opentelemetry/api';
import { InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { createEvents, topicSpecs } from '@rlhf-streams/bus';
import { memoryLog } from '@rlhf-streams/log';
import { expect, it, vi } from 'vitest';
import { createTelemetry } from './sdk.js';

it('counts what a service does with events, and follows a trace from service to service', async () => {
  const log = memoryLog();
  await log.ensureTopics(topicSpecs);
  const exporter = new InMemorySpanExporter();
  const publisher = createTelemetry({ service: 'gateway' });
  const consumer = createTelemetry({
    service: 'coordinator',
    spanProcessors: [new SimpleSpanProcessor(exporter)],
  });
  const outgoing = createEvents({ log, source: 'gateway', ...publisher });
  const incoming = createEvents({ log, source: 'coordinator', ...consumer });

  const span = publisher.tracer.startSpan('POST /runs');
  await context.with(trace.setSpan(context.active(), span), () =>
    outgoing.publish([
      { type: 'run.paused', data: { run: 'good' }, id: '1' },
      { type: 'run.paused', data: { run: 'bad' }, id: '2' },
    ]),
  );
  let active: string | undefined;
  await incoming.consume({
    group: 'g',
    topics: ['runs'],
    retries: 0,
    handle: async ({ data }) => {
      active = trace.getActiveSpan()?.spanContext().traceId;
      if (data.run === 'bad') throw Object.assign(new Error('no'), { code: 'BAD_RUN' });
    },
  });
  await vi.waitFor(
    async () => expect((await log.lag('g', ['runs'])).runs!.every((each) => each === 0)).toBe(true),
    {
      timeout: 20_000,
    },
  );

  const { traceId } = span.spanContext();
  expect(active).toBe(traceId);
  expect(exporter.getFinishedSpans().map((each) => each.spanContext().traceId)).toEqual([traceId, traceId]);

  expect(await publisher.metricsText()).toContain('events_published_total{topic="runs",type="run.paused"} 2');
  const text = await consumer.metricsText();
  expect(text).toContain('events_consumed_total{topic="runs",type="run.paused",outcome="handled"} 1');
  expect(text).toContain('events_consumed_total{topic="runs",type="run.paused",outcome="rejected"} 1');
  expect(text).toContain('dead_letters_total{topic="runs",code="BAD_RUN"} 1');
  expect(text).toContain(
    'event_handler_duration_seconds_count{topic="runs",type="run.paused",outcome="handled"} 1',
  );
  expect(text).toContain('consumer_lag{group="g",topic="runs"} 0');
  expect(text).toMatch(/process_resident_memory_bytes \d{6,}/);
  expect(text).toMatch(/nodejs_eventloop_lag_seconds [\d.e-]+/);

  await incoming.close();
  await Promise.all([publisher.shutdown(), consumer.shutdown(), log.close()]);
});
