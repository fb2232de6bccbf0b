/** A step of LoRA DPO on a real checkpoint beside PyTorch with PEFT, on as many cores. */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { requireTensorflow } from '@rlhf-streams/tensor';
import { missingLibraries, python } from '../../python/python.js';
import { startCompetitor } from '../against/channel.js';
import type { LoraStep } from '../against/workload.js';
import type { Measurement, Row } from '../measurement.js';
import { memoryOf, processorSeconds } from '../process.js';
import { median, ratio } from '../timing.js';

const PYTORCH = 'PyTorch with PEFT';
const ROUNDS = 3;
/** ONNX Runtime's and PyTorch's threads go on spinning for some milliseconds after a run. */
const SPINNING_MS = 200;

const CASES = [
  { pairs: 2, length: 128, gradientCheckpointing: false },
  { pairs: 2, length: 512, gradientCheckpointing: true },
] as const;

export const lora: Measurement = {
  name: 'lora',
  about: 'a step of DPO on a checkpoint with an adapter of rank 16 on every linear map, on two cores',
  onlyByName: true,
  async run({ model }) {
    if (model === undefined)
      throw new Error('expected --model DIR, or the folder of a checkpoint in RLHF_TEST_SMOLLM2');
    const missing = missingLibraries(['torch', 'transformers', 'peft']);
    const hasTensorflow = await requireTensorflow('cpu').then(
      () => true,
      () => false,
    );
    const rows: Row[] = [];
    for (const { pairs, length, gradientCheckpointing } of CASES) {
      const workload: LoraStep = {
        kind: 'lora',
        model,
        threads: 2,
        rank: 16,
        pairs,
        promptTokens: length / 4,
        newTokens: length - length / 4,
        gradientCheckpointing,
        learningRate: 1e-4,
      };
      // Processes of their own for each case: their peak of memory is that of the case.
      const competitors = [
        startCompetitor('this build', process.execPath, [trainingProcess]),
        ...(hasTensorflow
          ? (['float32', 'bf16'] as const).map((precision) =>
              startCompetitor(`this build, tensorflow, ${precision}`, process.execPath, [
                trainingProcess,
                precision,
              ]),
            )
          : []),
        ...(missing === undefined ? [startCompetitor(PYTORCH, python, [pytorchScript])] : []),
      ];
      try {
        const times = competitors.map((): number[] => []);
        const processor = competitors.map((): number[] => []);
        for (const { open } of competitors) await open(workload);
        // The first round opens programs.
        for (let round = -1; round < ROUNDS; round++) {
          const order = competitors.map((_, index) => index);
          for (const index of round % 2 === 0 ? order : order.toReversed()) {
            await sleep(SPINNING_MS);
            const { run, pid } = competitors[index]!;
            const before = await processorSeconds(pid);
            const ms = await run();
            if (round < 0) continue;
            times[index]!.push(ms);
            processor[index]!.push((await processorSeconds(pid)) - before);
          }
        }
        const pytorch = times[competitors.findIndex(({ name }) => name === PYTORCH)];
        const memory = await Promise.all(competitors.map(({ pid }) => memoryOf(pid)));
        competitors.forEach(({ name }, i) => {
          rows.push({
            work: `${pairs} x 2 x ${length} tokens${gradientCheckpointing ? ', recomputed' : ''}`,
            with: name,
            's a step': median(times[i]!) / 1000,
            'processor s a step': median(processor[i]!),
            'tokens/s': Math.round((2 * pairs * length * 1000) / median(times[i]!)),
            'time : PyTorch': pytorch ? ratio(pytorch, times[i]!) : Number.NaN,
            'memory, MB': memory[i]!,
          });
        });
      } finally {
        await Promise.all(competitors.map(({ end }) => end()));
      }
    }
    return {
      rows,
      notes: [
        'Medians over rounds. A micro-batch is a pair; log-probs of the reference are given. RSS counts a page of a file for',
        'each session that maps it, PSS counts it once.',
        ...(hasTensorflow
          ? []
          : ['The tensorflow engine was left out: npm run install:tensorflow brings it.']),
        ...(missing === undefined
          ? []
          : [
              `PyTorch was left out, because ${missing} is missing: name a Python that has it in RLHF_PYTHON.`,
            ]),
      ],
    };
  },
};

const trainingProcess = fileURLToPath(new URL('./training-process.js', import.meta.url));
const pytorchScript = fileURLToPath(new URL('../../../python/lora.py', import.meta.url));
