import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readTokenizer } from '@rlhf-streams/model/tokenizer';
import type { ServiceContext } from '@rlhf-streams/runtime';
import { artifactRoles, ITEMS_FILE, itemSchemas, type RunView, workOf } from '@rlhf-streams/training/config';
import { CoordinatorError } from './errors.js';
import type { RunItems } from './steps.js';

/** The items of a started run, and the tokens that end its completions. */
export async function readItems(
  { artifacts }: Pick<ServiceContext, 'artifacts'>,
  { config, artifacts: used }: RunView,
): Promise<RunItems> {
  const directory = await artifacts.fetch(used![artifactRoles.items]!);
  const schema = itemSchemas[workOf(config!).issues];
  const lines = (await readFile(join(directory, ITEMS_FILE), 'utf8')).trimEnd().split('\n');
  const items = lines.map((line) => schema.parse(JSON.parse(line)));
  const train = items.filter(({ split }) => split === 'train');
  const test = items.filter(({ split }) => split === 'test');
  if (config!.method === 'sample' && config!.testPrompts && test.length === 0) {
    throw new CoordinatorError(
      'RUN_DATA_EMPTY',
      'expected prompts held out of training, got none: raise testFraction',
    );
  }
  const model = await artifacts.fetch(used![artifactRoles.policy]!);
  const tokenizer = await readTokenizer(model);
  return { train, test, stopTokens: tokenizer ? [tokenizer.eosId] : [] };
}
