/** What a service needs of telemetry; made by `@rlhf-streams/runtime/telemetry`, or nothing by default. */
import { createNoopMeter, type Meter, type Tracer, trace } from '@opentelemetry/api';

export interface Telemetry {
  readonly meter: Meter;
  readonly tracer: Tracer;
  /** Everything measured so far, in Prometheus' text format. */
  metricsText(): Promise<string>;
  /** Flushes and ends. */
  shutdown(): Promise<void>;
}

export const noTelemetry: Telemetry = {
  meter: createNoopMeter(),
  tracer: trace.getTracer('@rlhf-streams/runtime'),
  metricsText: async () => '# telemetry is off\n',
  shutdown: async () => {},
};

/** Bucket bounds, in seconds, for what takes between a millisecond and ten minutes. */
export const SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 600];
