/** Data of events as earlier builds wrote them, each turned into the shape that is read today. */
import { z } from 'zod';
import { ArtifactRef, type ModelRef } from './schemas.js';

const asModel = (base: ArtifactRef): ModelRef => ({ base });

/** Until version 2 a model was one artifact. */
export const policyPublished1 = z
  .looseObject({ artifact: ArtifactRef })
  .transform(({ artifact, ...rest }) => ({ ...rest, model: asModel(artifact) }));

export const stepCompleted1 = z
  .looseObject({ published: ArtifactRef.optional() })
  .transform(({ published, ...rest }) => ({ ...rest, ...(published && { published: asModel(published) }) }));

export const referenceScored1 = z
  .looseObject({ reference: ArtifactRef })
  .transform(({ reference, ...rest }) => ({ ...rest, reference: asModel(reference) }));

/** Until version 2 `artifacts` had the models too, and `models` was what is `described` now. */
export const runStarted1 = z
  .looseObject({
    config: z.looseObject({ scorers: z.unknown().optional() }),
    artifacts: z.record(z.string(), ArtifactRef),
    models: z.record(z.string(), z.looseObject({ kind: z.string() })).optional(),
  })
  .transform(({ artifacts: used, models: described, ...rest }) => {
    const gold = goldRewards(rest.config.scorers);
    const isNoModel = (role: string) =>
      role === 'items' || gold.has(role) || described?.[role]?.kind === 'gold reward';
    const models: Record<string, ModelRef> = {};
    const artifacts: Record<string, ArtifactRef> = {};
    for (const [role, ref] of Object.entries(used))
      if (isNoModel(role)) artifacts[role] = ref;
      else models[role] = asModel(ref);
    return { ...rest, models, artifacts, ...(described && { described }) };
  });

/** Roles of the scorers that the configuration names as gold rewards. */
function goldRewards(scorers: unknown): ReadonlySet<string> {
  const written: readonly unknown[] = Array.isArray(scorers) ? scorers : [];
  const isGold = (source: unknown) => typeof source === 'string' && source.startsWith('gold:');
  return new Set(written.flatMap((source, index) => (isGold(source) ? [`scorer.${index}`] : [])));
}
