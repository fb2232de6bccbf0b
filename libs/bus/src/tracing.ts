/** W3C trace context travels in the header `traceparent`; nothing happens where no SDK is set up. */
import {
  context,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  type Tracer,
} from '@opentelemetry/api';
import type { LogRecord } from '@rlhf-streams/log';
import { messageOf } from './errors.js';

/** The active context as a header's value. */
export function activeTraceparent(): string | undefined {
  const carrier: { traceparent?: string } = {};
  propagation.inject(context.active(), carrier);
  return carrier.traceparent;
}

/** Runs `work` as a span of the trace the record belongs to. */
export function inTraceOf<T>(
  tracer: Tracer,
  record: LogRecord,
  group: string,
  work: () => Promise<T>,
): Promise<T> {
  const { topic, partition, offset, headers } = record;
  const attributes = {
    'messaging.system': 'rlhf-streams',
    'messaging.operation.type': 'process',
    'messaging.destination.name': topic,
    'messaging.destination.partition.id': String(partition),
    'messaging.consumer.group.name': group,
    'messaging.message.id': headers.ce_id ?? `${topic}/${partition}/${offset}`,
  };
  const parent = propagation.extract(ROOT_CONTEXT, headers);
  return tracer.startActiveSpan(
    `process ${topic}`,
    { kind: SpanKind.CONSUMER, attributes },
    parent,
    async (span) => {
      try {
        return await work();
      } catch (error) {
        span.recordException(error instanceof Error ? error : String(error));
        span.setStatus({ code: SpanStatusCode.ERROR, message: messageOf(error) });
        throw error;
      } finally {
        span.end();
      }
    },
  );
}
