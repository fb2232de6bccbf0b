/**
 * Run as a process by tests that end it: does the runs it is given one after another, or those of an experiment together, then
 * extends some. It goes on with what its folder holds of them, and writes a line for each event of the log, also for those
 * of earlier lives. SIGTERM stops it; asked to, it kills itself after a step of a run.
 */

import type { Received } from '@rlhf-streams/bus';
import { modelKey, type TopicName, topics } from '@rlhf-streams/events';
import type { ExperimentInput, RunConfigInput } from '@rlhf-streams/runs';
import { extendRun, followRun, requestExperiment, requestRun, startPlatform } from 'rlhf-streams';
import { oneThread } from '../platform/tiny-runs.js';
import type { Extension, Fact, StepOfRun } from './life.js';

const [directory, written, extensions, deadly] = process.argv.slice(2) as [string, string, string, string?];
const killedAfter = deadly && (JSON.parse(deadly) as StepOfRun);
const asked = JSON.parse(written) as readonly RunConfigInput[] | ExperimentInput;
const { RLHF_ENGINE: engine } = process.env;
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort(new Error('asked to stop')));

const platform = await startPlatform({
  directory,
  environment: { ...oneThread, ...(engine !== undefined && { RLHF_ENGINE: engine }) },
});
const every = Object.keys(topics) as TopicName[];
const telling = (async () => {
  for await (const event of platform.events.follow({ topics: every })) tell(event);
})();
try {
  const isExperiment = 'experiment' in asked;
  if (isExperiment) await requestExperiment(platform, asked);
  for (const config of isExperiment ? asked.runs : asked) {
    if (!isExperiment) await requestRun(platform, config);
    await followRun(platform, config.run, {}, stop.signal);
  }
  for (const { run, steps } of JSON.parse(extensions) as Extension[]) {
    await extendRun(platform, run, { steps });
    await followRun(platform, run, {}, stop.signal);
  }
} catch (error) {
  if (!stop.signal.aborted) throw error;
}
for await (const event of platform.events.readAll(every)) tell(event);
await platform.close();
await telling;

function tell({ type, topic, partition, offset, data }: Received): void {
  if (
    killedAfter &&
    type === 'step.completed' &&
    data.run === killedAfter.run &&
    data.step >= killedAfter.step
  )
    process.kill(process.pid, 'SIGKILL');
  const version = type === 'policy.published' && `${data.run} ${data.version} ${modelKey(data.model)}`;
  const fact: Fact = { place: `${topic}/${partition}/${offset}`, type, ...(version && { version }) };
  process.stdout.write(`${JSON.stringify(fact)}\n`);
}
