/** The OpenTelemetry SDK of a service; libraries only know `@opentelemetry/api`. */
import { context, propagation } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, type SpanProcessor } from '@opentelemetry/sdk-trace-base';
import type { Telemetry } from './port.js';
import { observeProcess } from './process.js';

export interface TelemetryOptions {
  /** The service's name: the scope of its metrics and spans. */
  readonly service: string;
  /** Where ended spans go. Default nowhere: trace context still travels with events. */
  readonly spanProcessors?: SpanProcessor[];
}

/**
 * Metrics and traces of one service. A process may hold several; they share the trace context, so that an event's
 * trace goes on from service to service.
 */
export function createTelemetry({ service, spanProcessors = [] }: TelemetryOptions): Telemetry {
  shareTraceContext();
  // Serves nothing itself: the service's own /metrics asks it.
  const reader = new PrometheusExporter({ preventServerStart: true });
  const serializer = new PrometheusSerializer('', false, undefined, true, true);
  const meters = new MeterProvider({ readers: [reader] });
  const tracers = new BasicTracerProvider({ spanProcessors });
  const meter = meters.getMeter(service);
  const endProcessMetrics = observeProcess(meter);
  return {
    meter,
    tracer: tracers.getTracer(service),
    metricsText: async () => {
      const { resourceMetrics, errors } = await reader.collect();
      const failed = errors.map((error) => `# not collected: ${String(error).replaceAll('\n', ' ')}\n`);
      return `${failed.join('')}${serializer.serialize(resourceMetrics)}`;
    },
    shutdown: async () => {
      endProcessMetrics();
      await Promise.all([meters.shutdown(), tracers.shutdown()]);
    },
  };
}

let shared = false;

function shareTraceContext(): void {
  if (shared) return;
  shared = true;
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
}
