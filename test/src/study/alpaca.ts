/** Rankings of AlpacaEval as small data: answers cut to their beginnings, and the same rankings as pairs. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { philox4x32 } from '@rlhf-streams/random';

export interface Ranking {
  readonly prompt: string;
  readonly completions: readonly string[];
  /** 1 is the best; equal ranks are ties. */
  readonly ranks: readonly number[];
}

/** What is kept of the data, so that they are read in minutes. */
export interface AlpacaSize {
  /** The most rankings to learn from, and held out. */
  readonly rankings: number;
  readonly heldOut: number;
  /** Letters of a prompt, which is left out if longer, and of an answer, which is cut. */
  readonly letters: { readonly prompt: number; readonly answer: number };
}

/** Rankings of the training file that are held out with those of the test file, which are few. */
const HELD_OUT = 60;

export interface AlpacaFiles {
  readonly rankings: string;
  /** All pairs of those rankings that are not tied, in an order that leaves no ranking together. */
  readonly pairs: string;
  /** The best answer of each. */
  readonly demonstrations: string;
  /** Rankings of other prompts. */
  readonly heldOut: string;
  readonly counts: { readonly rankings: number; readonly pairs: number; readonly heldOut: number };
}

/** Writes the files that runs read. */
export async function alpacaFiles(source: string, folder: string, size: AlpacaSize): Promise<AlpacaFiles> {
  const [train, test] = await Promise.all(
    ['train', 'test'].map((name) => readRankings(join(source, `${name}.jsonl`), size)),
  );
  const heldOut = [...test!, ...train!.slice(-HELD_OUT)].slice(0, size.heldOut);
  const rankings = train!.slice(0, -HELD_OUT).slice(0, size.rankings);
  const pairs = shuffled(rankings.flatMap(pairsOf));
  const demonstrations = rankings.map(({ prompt, completions, ranks }) => ({
    prompt,
    completion: completions[ranks.indexOf(Math.min(...ranks))]!,
  }));
  await mkdir(folder, { recursive: true });
  const write = async (name: string, rows: readonly object[]) => {
    const path = join(folder, `alpaca-${name}.jsonl`);
    await writeFile(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    return path;
  };
  return {
    rankings: await write('rankings', rankings),
    pairs: await write('pairs', pairs),
    demonstrations: await write('demonstrations', demonstrations),
    heldOut: await write('held-out', heldOut),
    counts: { rankings: rankings.length, pairs: pairs.length, heldOut: heldOut.length },
  };
}

async function readRankings(path: string, { letters }: AlpacaSize): Promise<Ranking[]> {
  const text = await readFile(path, 'utf8');
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => JSON.parse(line) as Ranking)
    .filter(({ prompt, ranks }) => prompt.length <= letters.prompt && new Set(ranks).size > 1)
    .map(({ prompt, completions, ranks }) => ({
      prompt,
      completions: completions.map((answer) => ` ${answer.trim().slice(0, letters.answer)}`),
      ranks,
    }));
}

const pairsOf = ({ prompt, completions, ranks }: Ranking) =>
  completions.flatMap((chosen, a) =>
    completions.flatMap((rejected, b) => (ranks[a]! < ranks[b]! ? [{ prompt, chosen, rejected }] : [])),
  );

/** The same order of the same rows, every time. */
function shuffled<T>(rows: readonly T[]): T[] {
  const drawn = rows.map((row, index) => ({ row, draw: philox4x32([index, 0, 0, 0], [0, 0])[0] }));
  return drawn.sort((a, b) => a.draw - b.draw).map(({ row }) => row);
}
