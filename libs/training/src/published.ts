/** What a run publishes: a model as a checkpoint, or an adapter as a PEFT folder. */
import {
  exportedCheckpoint,
  type ModelConfig,
  readExtraFiles,
  tensorsOf,
  writeAdapter,
  writeCheckpoint,
} from '@rlhf-streams/model';
import type { Buffers } from '@rlhf-streams/tensor';
import type { Start } from './starting/models.js';

/** Writes the model into a missing folder, with the tokenizer and the further files of the one that training began with. */
type Publish = (directory: string, config: ModelConfig, parameters: Buffers) => Promise<void>;

export async function publisherOf({ folders, described: { tokenizer, baseName } }: Start): Promise<Publish> {
  const extraFiles = await readExtraFiles(folders.adapter ?? folders.base);
  return async (directory, model, parameters) => {
    const { config, ...files } = exportedCheckpoint({ config: model, tokenizer, extraFiles });
    const tensors = new Map(
      [...tensorsOf(config)].flatMap(([name, { shape, frozen }]) =>
        frozen ? [] : [[name, { shape: [...shape], data: parameters[name] as Float32Array }] as const],
      ),
    );
    if (!config.adapter) return writeCheckpoint(directory, { config, tensors, ...files });
    const base = baseName ?? folders.name ?? folders.base;
    return writeAdapter(directory, { config, tensors, base, ...files });
  };
}
