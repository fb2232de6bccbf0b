import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readDataset } from '@rlhf-streams/data';
import {
  artifactRoles,
  dataSpecOf,
  datasetNames,
  ITEMS_FILE,
  ITEMS_FORMAT,
  ITEMS_FORMAT_FILE,
  ItemsFormat,
  itemSchemas,
  type RunItem,
  type RunView,
  specOf,
} from '@rlhf-streams/runs';
import type { ServiceContext } from '@rlhf-streams/service';
import { modelFolders, tokenizerIn } from '@rlhf-streams/serving';
import type { z } from 'zod';
import { CoordinatorError } from './errors.js';
import type { DatasetItems, RunItems } from './steps.js';

/**
 * The items of a started run, and the tokens that end its completions.
 * @throws CoordinatorError RUN_ITEMS_INVALID when they are not what this version makes of a dataset, RUN_ITEMS_TOO_NEW
 *   when they are what a newer one makes of it.
 */
export async function readItems(
  context: Pick<ServiceContext, 'artifacts'>,
  view: RunView,
): Promise<RunItems> {
  const further: Record<string, DatasetItems> = {};
  for (const name of datasetNames(specOf(view.config!)))
    if (name !== undefined) further[name] = await readDatasetItems(context, view, name);
  return {
    ...(await readDatasetItems(context, view)),
    ...(Object.keys(further).length > 0 && { further }),
    stopTokens: await stopTokensOf(context, view),
  };
}

/** A run whose items were made before they said it ends completions at the end of text alone. */
async function stopTokensOf(
  { artifacts }: Pick<ServiceContext, 'artifacts'>,
  { run, models, artifacts: used }: RunView,
): Promise<readonly number[]> {
  const items = await artifacts.fetch(used![artifactRoles.itemsOf()]!);
  const { stopTokens } = await readFormat(run, items);
  if (stopTokens) return stopTokens;
  const policy = models![artifactRoles.policy]!;
  const tokenizer = await tokenizerIn(await modelFolders(policy, (artifact) => artifacts.fetch(artifact)));
  return tokenizer ? [tokenizer.eosId] : [];
}

async function readDatasetItems(
  { artifacts }: Pick<ServiceContext, 'artifacts'>,
  { run, config, artifacts: used }: RunView,
  name?: string,
): Promise<DatasetItems> {
  const directory = await artifacts.fetch(used![artifactRoles.itemsOf(name)]!);
  await readFormat(run, directory);
  const schema = itemSchemas[dataSpecOf(specOf(config!), name).kind];
  const items: Record<RunItem['split'], RunItem[]> = { train: [], test: [] };
  let line = 0;
  for await (const json of readDataset(join(directory, ITEMS_FILE))) {
    line += 1;
    const result = schema.safeParse(json);
    if (!result.success) throw invalid(run, line, result.error);
    items[result.data.split].push(result.data);
  }
  return items;
}

async function readFormat(run: string, directory: string): Promise<z.output<typeof ItemsFormat>> {
  const text = await readFile(join(directory, ITEMS_FORMAT_FILE), 'utf8').catch((error) => {
    if (error.code === 'ENOENT') return '{"format": 1}';
    throw error;
  });
  const told = ItemsFormat.parse(JSON.parse(text));
  const { format } = told;
  if (format <= ITEMS_FORMAT) return told;
  throw new CoordinatorError(
    'RUN_ITEMS_TOO_NEW',
    `expected the items that run ${run} was started with in format ${ITEMS_FORMAT} at most, got format ${format}, which a newer build made: upgrade the coordinator to that build`,
  );
}

function invalid(run: string, line: number, error: z.ZodError): CoordinatorError {
  const { path, message } = error.issues[0]!;
  return new CoordinatorError(
    'RUN_ITEMS_INVALID',
    `expected the items that run ${run} was started with, but item ${line} is none: ${path.join('.')}: ${message}; request the run again under another name`,
    { cause: error },
  );
}
