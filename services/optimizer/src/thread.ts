/** The optimizer's compute thread: sessions of the runs this replica owns, over one pool of workers. */
import { workerData } from 'node:worker_threads';
import type { Build } from '@rlhf-streams/events';
import type { Item, RunConfig } from '@rlhf-streams/runs';
import type { EngineChoice } from '@rlhf-streams/serving';
import { openEngine } from '@rlhf-streams/serving/thread';
import { onnxPool } from '@rlhf-streams/tensor';
import { serve } from '@rlhf-streams/threads';
import {
  type Beside,
  type Metrics,
  openSession,
  RESULTS_FILE,
  resultsFile,
  type Session,
  type SessionOptions,
  type StartingModels,
  type StepResult,
} from '@rlhf-streams/training';

export interface ThreadOptions {
  /** One-thread workers that compute micro-batches. */
  readonly workers: number;
  readonly compute: EngineChoice;
  /** Stamped into checkpoints. */
  readonly build: Build;
  /** Memory at hand; a run that needs more is not opened. */
  readonly memoryBytes: number;
  /** Where bases of adapters are decoded to. */
  readonly weightCache: SessionOptions['weightCache'];
}

export interface OpenRun {
  readonly config: RunConfig;
  readonly steps: number;
  /** The models that it starts from, by role. */
  readonly models: StartingModels;
  /** Folder of the checkpoint to go on from. */
  readonly checkpoint?: string | undefined;
}

type Positions = Readonly<Record<string, readonly number[]>>;

const { workers, compute, build, memoryBytes, weightCache } = workerData as ThreadOptions;
const engine = await openEngine(compute, () => onnxPool({ workers }));
const sessions = new Map<string, Session>();

const api = {
  /** `positions` and `build` are those of the checkpoint. */
  async open({
    config,
    steps,
    models,
    checkpoint,
  }: OpenRun): Promise<{ step: number; positions: Positions; build?: Build | undefined }> {
    const { session, ...saved } = await openSession({
      config,
      steps,
      models,
      checkpoint,
      engine,
      workers,
      build,
      memoryBytes,
      weightCache,
    });
    sessions.set(config.run, session);
    return { step: session.step, ...saved };
  },
  /** `results` are files to store, by name. */
  async update(
    run: string,
    items: readonly Item[],
    beside: Beside,
  ): Promise<Omit<StepResult, 'carry' | 'results'> & { readonly results?: Record<string, Uint8Array> }> {
    const { results = [], ...step } = await sessionOf(run).update(items, beside);
    return { ...step, ...(results.length > 0 && { results: { [RESULTS_FILE]: resultsFile(results) } }) };
  },
  extend: async (run: string, steps: number) => sessionOf(run).extend(steps),
  evaluate: (run: string, items: readonly Item[]): Promise<Metrics> => sessionOf(run).evaluate(items),
  savePublished: (run: string, directory: string) => sessionOf(run).savePublished(directory),
  saveCheckpoint: (run: string, directory: string, positions: Positions) =>
    sessionOf(run).saveCheckpoint(directory, positions),
  async close(run: string): Promise<void> {
    const session = sessions.get(run);
    sessions.delete(run);
    await session?.close();
  },
};

function sessionOf(run: string): Session {
  const session = sessions.get(run);
  if (!session) throw new Error(`run ${run} is not open`);
  return session;
}

export type OptimizerThread = typeof api;
serve(api);
