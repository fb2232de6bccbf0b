import type { ModelFolders } from '@rlhf-streams/model';
import { readTokenizer, type Tokenizer } from '@rlhf-streams/model/tokenizer';

/** The tokenizer of a model: the adapter's, if it came with one, else the base's. */
export const tokenizerIn = async ({ base, adapter }: ModelFolders): Promise<Tokenizer | undefined> =>
  (adapter === undefined ? undefined : await readTokenizer(adapter)) ?? readTokenizer(base);
