/** A training state as files: the parameters by name, the optimizer's moments, and what the run remembers. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Build } from '@rlhf-streams/events';
import { readSafetensors, writeSafetensors } from '@rlhf-streams/model';
import type { Buffers, Specs } from '@rlhf-streams/tensor';
import { z } from 'zod';
import { TrainingError } from '../errors.js';
import type { Carry } from '../methods/method.js';
import type { Layout } from './layout.js';
import type { TrainerState } from './trainer.js';

/** All that training goes on from: with it, and the events from `positions` on, the steps since are computed again. */
export interface Checkpoint {
  /** Steps done. */
  readonly step: number;
  /** The method's carry. */
  readonly memory: Carry;
  /** Next offsets to read, by topic and partition. */
  readonly positions: Readonly<Record<string, readonly number[]>>;
  /** The build that wrote it; absent from checkpoints of format 1. */
  readonly build?: Build | undefined;
}

/** Goes up when an older reader could not go on from the files. Fields that a reader does not know, it leaves out. */
const FORMAT = 2;
const Versioned = z.object({ format: z.int().min(1) });
const StateFile = z.object({
  format: z.int().min(1).max(FORMAT),
  step: z.int().min(0),
  updates: z.int().min(0),
  memory: z.record(z.string(), z.number()),
  positions: z.record(z.string(), z.array(z.int().min(0))),
  /** Added in format 2. */
  build: Build.optional(),
});

/** Writes `parameters.safetensors`, `moments.safetensors` and `state.json` into an empty or missing folder. */
export async function saveCheckpoint(
  directory: string,
  { trained }: Layout,
  { p, m, v, updates }: TrainerState,
  checkpoint: Checkpoint,
): Promise<void> {
  await mkdir(directory, { recursive: true });
  await writeSafetensors(join(directory, 'parameters.safetensors'), tensorsOf(trained, p));
  const updated = picked(trained, Object.keys(m));
  const moments = new Map([...tensorsOf(updated, m, 'm.'), ...tensorsOf(updated, v, 'v.')]);
  await writeSafetensors(join(directory, 'moments.safetensors'), moments);
  const state: z.input<typeof StateFile> = { format: FORMAT, updates, ...mutable(checkpoint) };
  await writeFile(join(directory, 'state.json'), JSON.stringify(state));
}

/**
 * @param updated names of the tensors that have moments: those that an optimizer updates. Default: all that is trained
 * @throws TrainingError TRAINING_CHECKPOINT_INVALID when the files cannot be read or are not those of a state of
 *   `layout`, TRAINING_CHECKPOINT_TOO_NEW when they are of a format that only a newer build knows.
 */
export async function loadCheckpoint(
  directory: string,
  { trained }: Layout,
  updated: readonly string[] = Object.keys(trained),
): Promise<{ state: TrainerState; checkpoint: Checkpoint }> {
  try {
    const { updates, step, memory, positions, build } = await readState(join(directory, 'state.json'));
    const [p] = await readTensors(join(directory, 'parameters.safetensors'), trained, ['']);
    const withMoments = picked(trained, updated);
    const [m, v] = await readTensors(join(directory, 'moments.safetensors'), withMoments, ['m.', 'v.']);
    return { state: { p: p!, m: m!, v: v!, updates }, checkpoint: { step, memory, positions, build } };
  } catch (cause) {
    if (cause instanceof TrainingError) throw cause;
    const message = `expected ${directory} to hold a checkpoint of this run: ${(cause as Error).message}`;
    throw new TrainingError('TRAINING_CHECKPOINT_INVALID', message, { cause });
  }
}

async function readState(path: string): Promise<z.output<typeof StateFile>> {
  const json: unknown = JSON.parse(await readFile(path, 'utf8'));
  const { success, data } = Versioned.safeParse(json);
  if (success && data.format > FORMAT)
    throw new TrainingError(
      'TRAINING_CHECKPOINT_TOO_NEW',
      `expected ${path} to be of format ${FORMAT} at most, got format ${data.format}, which a newer build wrote: upgrade the optimizer to that build`,
    );
  const parsed = StateFile.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new Error(`${path} is no such state: ${z.prettifyError(parsed.error)}`);
}

/** Reads the tensors of each prefix. Every tensor of the file must belong to one of them. */
async function readTensors(path: string, specs: Specs, prefixes: readonly string[]): Promise<Buffers[]> {
  const { tensors } = await readSafetensors(path);
  const byPrefix = prefixes.map((prefix) =>
    Object.fromEntries(
      Object.entries(specs).map(([name, { shape }]) => {
        const found = tensors.get(prefix + name);
        if (found?.dtype !== 'F32' || `${found.shape}` !== `${shape}`) {
          const came = found ? `${found.dtype} [${found.shape}]` : 'none';
          throw new Error(`expected ${prefix + name} to be F32 [${shape}] in ${path}, got ${came}`);
        }
        tensors.delete(prefix + name);
        return [name, found.data];
      }),
    ),
  );
  const [unknown] = tensors.keys();
  if (unknown !== undefined) throw new Error(`expected no tensor ${unknown} in ${path}`);
  return byPrefix;
}

const tensorsOf = (specs: Specs, buffers: Buffers, prefix = '') =>
  new Map(
    Object.entries(specs).map(([name, { shape }]) => [
      prefix + name,
      { shape: [...shape], data: buffers[name] as Float32Array },
    ]),
  );

const picked = (specs: Specs, names: readonly string[]): Specs =>
  Object.fromEntries(names.map((name) => [name, specs[name]!]));

const mutable = ({ step, memory, positions, build }: Checkpoint) => ({
  step,
  memory: { ...memory },
  positions: Object.fromEntries(Object.entries(positions).map(([topic, offsets]) => [topic, [...offsets]])),
  build,
});
