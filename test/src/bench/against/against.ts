/** This build, another one and PyTorch at the same work, in turn. */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { missingLibraries, python } from '../../python/python.js';
import type { Measurement, Row } from '../measurement.js';
import { big, nameOf, small } from '../models.js';
import { median, ratio } from '../timing.js';
import { buildOf, ownRoot } from './build-of.js';
import { type Competitor, startCompetitor } from './channel.js';
import { bigShape, decode, ppo, smallShape, training, type Workload } from './workload.js';

interface Contest {
  readonly work: string;
  readonly workload: Workload;
  /** Tokens of one run; undefined where milliseconds are shown. */
  readonly tokens?: number;
  readonly rounds: number;
}

const CONTESTS: readonly Contest[] = [
  {
    work: `decode, ${decode.prompts} rows, ${nameOf(small)}`,
    workload: decode,
    tokens: decode.prompts * decode.newTokens,
    rounds: 9,
  },
  trained(`training, ${nameOf(small)}`, smallShape, 5, 9),
  trained(`training, ${nameOf(big)}`, bigShape, 1, 7),
  { work: `PPO step, ${nameOf(small)}`, workload: ppo, rounds: 3 },
];

function trained(work: string, shape: typeof smallShape, updates: number, rounds: number): Contest {
  const workload = training(shape, updates);
  return { work, workload, tokens: workload.rows * workload.length, rounds };
}

const OURS = 'this build';
const PYTORCH = 'PyTorch';

export const against: Measurement = {
  name: 'against',
  about: `${OURS} beside another (--against REV) and plain PyTorch, on two cores, round by round`,
  onlyByName: true,
  async run({ against: revision }) {
    const script = fileURLToPath(new URL('./measured-build.js', import.meta.url));
    const start = (name: string, root: string) => startCompetitor(name, process.execPath, [script, root]);
    const other = revision === undefined ? undefined : await buildOf(revision);
    const missing = missingLibraries(['torch']);
    const competitors = [
      start(OURS, ownRoot),
      ...(other ? [start(other.name, other.root)] : []),
      ...(missing === undefined ? [startCompetitor(PYTORCH, python, [pytorchScript])] : []),
    ];
    try {
      const rows: Row[] = [];
      for (const contest of CONTESTS) {
        console.error(`${contest.work} …`);
        rows.push(rowOf(contest, competitors, await timesOf(contest, competitors)));
      }
      return { rows, notes: notesOf(missing) };
    } finally {
      await Promise.all(competitors.map(({ end }) => end()));
    }
  },
};

const pytorchScript = fileURLToPath(new URL('../../../python/bench.py', import.meta.url));

/** ONNX Runtime's threads go on spinning for some milliseconds after a run, on cores that the next one needs. */
const SPINNING_MS = 60;

/** Milliseconds of each, round by round, in an order that reverses from round to round. */
async function timesOf(
  { workload, rounds }: Contest,
  competitors: readonly Competitor[],
): Promise<number[][]> {
  for (const { open } of competitors) await open(workload);
  const times = competitors.map((): number[] => []);
  const order = competitors.map((_, index) => index);
  for (let round = 0; round < rounds; round++) {
    for (const index of round % 2 === 0 ? order : order.toReversed()) {
      await sleep(SPINNING_MS);
      times[index]!.push(await competitors[index]!.run());
    }
  }
  for (const { close } of competitors) await close();
  return times;
}

function rowOf(
  { work, tokens }: Contest,
  competitors: readonly Competitor[],
  times: readonly number[][],
): Row {
  const shown = (ms: number) => (tokens === undefined ? ms : Math.round((tokens * 1000) / ms));
  const figures = competitors.map(({ name }, i) => [name, shown(median(times[i]!))] as const);
  // The time of this build as a share of the other's, or its speed as a multiple.
  const compared = competitors.slice(1).map(({ name }, i) => {
    const took = ratio(times[i + 1]!, times[0]!);
    return [`: ${name}`, tokens === undefined ? took : 1 / took] as const;
  });
  return {
    work,
    unit: tokens === undefined ? 'ms' : 'tokens/s',
    ...Object.fromEntries([...figures, ...compared]),
    'best of ours': shown(Math.min(...times[0]!)),
  };
}

const notesOf = (missing: string | undefined): string[] => [
  'Medians over rounds; ": X" is the median of the ratios to X, round by round: of speeds where tokens/s are shown, of',
  'times where milliseconds are. Decoding includes prefill and the loading of new weights. A PPO step of a build is a',
  'whole one, with all services and the embedded log; that of PyTorch has no log, no versions and no scorer.',
  ...(missing === undefined
    ? []
    : [`PyTorch was left out, because ${missing} is missing: name a Python that has it in RLHF_PYTHON.`]),
];
