/** The folders that a model's files lie in: those of its base, and of its adapter. */
import type { ArtifactRef, ModelRef } from '@rlhf-streams/events';
import type { ModelFolders } from '@rlhf-streams/model';
import { readTokenizer, type Tokenizer } from '@rlhf-streams/model/tokenizer';

/** Of a model with an adapter, which of the two. */
export type Part = 'base' | 'adapter';

/**
 * Fetches what a model consists of.
 * @param fetch resolves to the folder of an artifact; `part` is undefined where that is the whole model
 * @example const folders = await modelFolders(model, (artifact) => artifacts.fetch(artifact, { signal }));
 */
export async function modelFolders(
  { base, adapter }: ModelRef,
  fetch: (artifact: ArtifactRef, part?: Part) => Promise<string>,
): Promise<ModelFolders> {
  if (!adapter) return { base: await fetch(base) };
  const [ofBase, ofAdapter] = await Promise.all([fetch(base, 'base'), fetch(adapter, 'adapter')]);
  return { base: ofBase, adapter: ofAdapter };
}

/** The tokenizer of a model: the adapter's, if it came with one, else the base's. */
export const tokenizerIn = async ({ base, adapter }: ModelFolders): Promise<Tokenizer | undefined> =>
  (adapter === undefined ? undefined : await readTokenizer(adapter)) ?? readTokenizer(base);
