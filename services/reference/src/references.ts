import type { Projection } from '@rlhf-streams/bus';
import type { ArtifactRef } from '@rlhf-streams/events';
import { isInUse, type RunView } from '@rlhf-streams/runs';
import { type ComputeSettings, memoryLimit, type ServiceContext, startThread } from '@rlhf-streams/service';
import { batched, type LoadedArtifacts, loadArtifacts } from '@rlhf-streams/serving';
import type { ReferenceThread, ThreadOptions } from './thread.js';

export interface Reference {
  /** Log-probs of tokens 1 .. length - 1, at a temperature. */
  logprobs(tokens: readonly number[], temperature: number): Promise<Float32Array>;
  encode(text: string): Promise<number[]>;
}

export type References = LoadedArtifacts<Reference>;

/** Frozen models by artifact, in one compute thread. */
export async function createReferences(
  context: ServiceContext<ComputeSettings>,
  runs: Projection<RunView>,
): Promise<References> {
  const thread = await startThread<ReferenceThread>(context, new URL('./thread.js', import.meta.url), {
    name: 'reference',
    data: {
      device: context.settings.RLHF_DEVICE,
      memoryBytes: memoryLimit(context.settings),
    } satisfies ThreadOptions,
  });

  const load = async ({ sha256 }: ArtifactRef, directory: string): Promise<Reference> => {
    const contextLength = await thread.load(sha256, directory);
    const byTemperature = new Map<number, (tokens: readonly number[]) => Promise<Float32Array>>();
    const logprobsAt = (temperature: number) => {
      const known = byTemperature.get(temperature);
      if (known) return known;
      const logprobs = batched(
        (sequences: readonly (readonly number[])[]) => thread.logprobs(sha256, temperature, sequences),
        ({ length }) => length > contextLength,
      );
      byTemperature.set(temperature, logprobs);
      return logprobs;
    };
    return {
      logprobs: (tokens, temperature) => logprobsAt(temperature)(tokens),
      encode: (text) => thread.encode(sha256, text),
    };
  };

  return loadArtifacts(context, {
    what: 'reference',
    load,
    unload: ({ sha256 }) => thread.unload(sha256),
    isWanted: (artifact) => isInUse(runs.state, artifact),
  });
}
