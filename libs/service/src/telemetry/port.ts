/** What a service needs of telemetry; made by `@rlhf-streams/service/telemetry`, or nothing by default. */
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
  tracer: trace.getTracer('@rlhf-streams/service'),
  metricsText: async () => '# telemetry is off\n',
  shutdown: async () => {},
};
