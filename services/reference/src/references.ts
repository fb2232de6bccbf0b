import type { ArtifactRef } from '@rlhf-streams/events';
import { fetchArtifact, type ServiceContext } from '@rlhf-streams/runtime';
import { spawn } from '@rlhf-streams/threads';
import DataLoader from 'dataloader';
import type { ReferenceThread } from './thread.js';

export interface Reference {
  /** Log-probs of tokens 1 .. length - 1, at a temperature. */
  logprobs(tokens: readonly number[], temperature: number): Promise<Float32Array>;
  encode(text: string): Promise<number[]>;
}

export interface References {
  /** @throws RuntimeError RUNTIME_UNAVAILABLE while the artifact cannot be fetched. */
  of(artifact: ArtifactRef): Promise<Reference>;
}

/** Frozen models by artifact, in one compute thread. */
export function createReferences(context: ServiceContext): References {
  const thread = spawn<ReferenceThread>(new URL('./thread.js', import.meta.url), { name: 'reference' });
  thread.died.catch(context.fail);
  context.onStop(() => thread.close(), 'compute thread reference');
  const references = new Map<string, Promise<Reference>>();

  const load = async (artifact: ArtifactRef): Promise<Reference> => {
    const directory = await fetchArtifact(context.artifacts, artifact, {
      what: `reference ${artifact.sha256}`,
      signal: context.signal,
    });
    const contextLength = await thread.call.load(artifact.sha256, directory);
    const logprobsOf = (temperature: number, sequences: readonly (readonly number[])[]) =>
      thread.call.logprobs(artifact.sha256, temperature, sequences);
    const byTemperature = new Map<number, DataLoader<readonly number[], Float32Array>>();
    const batchesAt = (temperature: number) => {
      const known = byTemperature.get(temperature);
      if (known) return known;
      // Requests made together are computed together.
      const batches = new DataLoader<readonly number[], Float32Array>(
        (sequences) => logprobsOf(temperature, sequences),
        { cache: false, maxBatchSize: 64, batchScheduleFn: (dispatch) => setImmediate(dispatch) },
      );
      byTemperature.set(temperature, batches);
      return batches;
    };
    return {
      // A sequence that is too long fails by itself, not those it would be computed with.
      logprobs: async (tokens, temperature) =>
        tokens.length > contextLength
          ? (await logprobsOf(temperature, [tokens]))[0]!
          : batchesAt(temperature).load(tokens),
      encode: (text) => thread.call.encode(artifact.sha256, text),
    };
  };

  return {
    of(artifact) {
      const known = references.get(artifact.sha256);
      if (known) return known;
      const loading = load(artifact);
      references.set(artifact.sha256, loading);
      loading.catch(() => references.delete(artifact.sha256));
      return loading;
    },
  };
}
