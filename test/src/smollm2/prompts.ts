/** Prompts of comparisons that are short enough to be answered in a moment. */
import { writeFile } from 'node:fs/promises';
import { loadDataset, transcriptsAsMessages } from '@rlhf-streams/data';
import { describeCheckpoint, encodePrompt, loadTokenizer, type Message } from '@rlhf-streams/model';

/**
 * Writes the different prompts of a file of comparisons that have at most so many tokens, as the model's chat template
 * renders them. @returns their number
 */
export async function writePrompts(
  model: string,
  pairs: string,
  { to, most }: { readonly to: string; readonly most: number },
): Promise<number> {
  const { config, tokenizer: files } = await describeCheckpoint(model);
  const tokenizer = loadTokenizer(files!.json, files!.config);
  const dataset = await loadDataset(pairs);
  const { kind, rows } = transcriptsAsMessages(dataset) ?? dataset;
  if (kind !== 'preference' && kind !== 'ranking')
    throw new Error(`expected comparisons in ${pairs}, got rows of kind ${kind}`);
  const messagesOf = (prompt: string | Message[]): Message[] =>
    typeof prompt === 'string' ? [{ role: 'user', content: prompt }] : prompt;
  const short = rows
    .map(({ prompt }) => messagesOf(prompt as string | Message[]))
    .filter((prompt) => encodePrompt(tokenizer, config, prompt).tokens.length <= most);
  const different = [...new Map(short.map((prompt) => [JSON.stringify(prompt), prompt])).values()];
  await writeFile(to, different.map((prompt) => `${JSON.stringify({ prompt })}\n`).join(''));
  return different.length;
}
