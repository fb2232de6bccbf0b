/** What came of the runs on a log, without the times they took. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { filesystemArtifacts } from '@rlhf-streams/artifacts';
import { createEvents } from '@rlhf-streams/bus';
import type { DataFor, ModelRef } from '@rlhf-streams/events';
import { openLog } from '@rlhf-streams/service';
import type { Platform } from 'rlhf-streams';

export interface Outcome {
  /** SHA-256 of the weights of each run's newest version: of a model, or of the adapter that it is. */
  readonly weights: Readonly<Record<string, string>>;
  /** Every `step.completed`, in the order of its run. */
  readonly steps: readonly DataFor<'step.completed'>[];
  readonly deadLetters: readonly DataFor<'record.rejected'>[];
}

type Logged = Pick<Platform, 'events' | 'artifacts'>;

export async function outcomeOf(platform: Logged): Promise<Outcome> {
  const steps: DataFor<'step.completed'>[] = [];
  const deadLetters: DataFor<'record.rejected'>[] = [];
  for await (const { type, data } of platform.events.readAll(['training-metrics', 'dead-letters'])) {
    if (type === 'record.rejected') deadLetters.push(data);
    else steps.push(reproducible(data));
  }
  const weights: Record<string, string> = {};
  for (const [run, file] of Object.entries(await weightsOf(platform)))
    weights[run] = createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
  steps.sort((a, b) => (a.run < b.run ? -1 : Number(a.run > b.run)));
  return { weights, steps, deadLetters };
}

/** The file with the weights of each run's newest version. */
async function weightsOf({ events, artifacts }: Logged): Promise<Record<string, string>> {
  const newest = new Map<string, { readonly version: number; readonly model: ModelRef }>();
  for await (const { data } of events.readAll(['policy-versions']))
    if (data.version >= (newest.get(data.run)?.version ?? 0)) newest.set(data.run, data);
  const files: Record<string, string> = {};
  for (const [run, { model }] of newest) {
    const [ref, name] = model.adapter
      ? ([model.adapter, 'adapter_model.safetensors'] as const)
      : ([model.base, 'model.safetensors'] as const);
    files[run] = join(await artifacts.fetch(ref), name);
  }
  return files;
}

/** The same, of a folder that no process has open. */
export const outcomeIn = (directory: string): Promise<Outcome> => inFolder(directory, outcomeOf);
export const weightsIn = (directory: string): Promise<Record<string, string>> =>
  inFolder(directory, weightsOf);

async function inFolder<T>(directory: string, read: (logged: Logged) => Promise<T>): Promise<T> {
  const log = await openLog({ RLHF_DATA_DIR: directory });
  try {
    const artifacts = filesystemArtifacts({ directory: join(directory, 'artifacts') });
    return await read({ events: createEvents({ log, source: 'test' }), artifacts });
  } finally {
    await log.close();
  }
}

/** A step without what depends on when things were read: times, and the log positions within its checkpoint. */
export function reproducible({
  checkpoint: _,
  ...step
}: DataFor<'step.completed'>): DataFor<'step.completed'> {
  return { ...step, metrics: untimed(step.metrics) };
}

export const untimed = (metrics: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(metrics).filter(([name]) => !name.startsWith('timing_s/')));
