import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Meter } from '@opentelemetry/api';

const NANOSECONDS = 1e9;

/** Measures this process: memory, CPU and event-loop lag since the last collection. Returns what ends it. */
export function observeProcess(meter: Meter): () => void {
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  const memory = meter.createObservableGauge('process_resident_memory_bytes', {
    description: 'Resident set size',
  });
  const cpu = meter.createObservableCounter('process_cpu_seconds_total', {
    description: 'User and system CPU time',
  });
  const lag = meter.createObservableGauge('nodejs_eventloop_lag_seconds', {
    description: '99th percentile since the last scrape',
  });
  const resources = meter.createObservableGauge('nodejs_active_resources', {
    description: 'What keeps the event loop alive, by kind: timers, sockets, worker ports',
  });
  const counts = new Map<string, number>();
  resources.addCallback((result) => {
    // The gauge keeps the last value of what is not observed: a kind of resource that is gone is observed as 0.
    for (const type of counts.keys()) counts.set(type, 0);
    for (const type of process.getActiveResourcesInfo()) counts.set(type, (counts.get(type) ?? 0) + 1);
    for (const [type, count] of counts) result.observe(count, { type });
  });
  memory.addCallback((result) => result.observe(process.memoryUsage.rss()));
  cpu.addCallback((result) => {
    const { user, system } = process.cpuUsage();
    result.observe((user + system) / 1e6);
  });
  lag.addCallback((result) => {
    result.observe(delay.percentile(99) / NANOSECONDS);
    delay.reset();
  });
  return () => delay.disable();
}
