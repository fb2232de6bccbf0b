import { availableParallelism, totalmem } from 'node:os';
import { RuntimeError } from '@rlhf-streams/bus';
import type { TensorflowOptions } from '@rlhf-streams/tensor';
import { z } from 'zod';

/** Settings of services that have models in memory, or decide whether a model fits. */
export const memorySettings = z.object({
  RLHF_MEMORY_LIMIT_BYTES: z.coerce
    .number()
    .int()
    .min(0)
    .default(0)
    .meta({ defaultInWords: '0: what the machine, or its container, has' })
    .describe(
      'bytes that the models of a run may need in this process; a run or model that needs more is refused before it is loaded',
    ),
});

const deviceSettings = z.object({
  RLHF_DEVICE: z
    .enum(['cpu', 'cuda'])
    .default('cpu')
    .describe(
      'cuda: a service that computes starts only where TensorFlow finds a GPU, as in images built with DEVICE=cuda. cpu: it asks for none; the tensorflow engine takes a GPU all the same where it finds one',
    ),
});

/** Settings of services that compute. */
export const computeSettings = memorySettings.extend(deviceSettings.shape).extend({
  RLHF_ENGINE: z
    .enum(['onnx', 'tensorflow'])
    .optional()
    .meta({ defaultInWords: 'onnx; tensorflow where RLHF_DEVICE is cuda' })
    .describe(
      'what computes models: onnx (ONNX Runtime), by which weights are the same to the bit on every machine, or tensorflow (npm run install:tensorflow, or images built with ENGINE=tensorflow), whose numbers are close to those and may differ from run to run',
    ),
  RLHF_PRECISION: z
    .enum(['float32', 'bf16'])
    .default('float32')
    .describe(
      'of matrix products on the tensorflow engine; bf16 rounds their operands and results to bfloat16, and adds up in float32 within a product. Weights and the state of the optimizer are float32 either way. On a GPU TensorFlow multiplies float32 in TF32 (10 bits of each fraction instead of 23), unless NVIDIA_TF32_OVERRIDE=0, which kernels that XLA makes do not heed',
    ),
  RLHF_XLA: z
    .stringbool()
    .default(false)
    .meta({ defaultInWords: 'false' })
    .describe(
      'whether XLA compiles programs on the tensorflow engine: they take less time and memory on a GPU, and seconds to minutes more before each of their shapes first runs',
    ),
});
export type ComputeSettings = z.output<typeof computeSettings>;

/** Which engine computes, and how. */
export type EngineChoice =
  | { readonly engine: 'onnx' }
  | {
      readonly engine: 'tensorflow';
      readonly device: ComputeSettings['RLHF_DEVICE'];
      readonly options: TensorflowOptions;
    };

/** @throws RuntimeError RUNTIME_SETTINGS when settings of one engine are given for the other */
export function engineChoice({
  RLHF_ENGINE,
  RLHF_DEVICE: device,
  RLHF_PRECISION: precision,
  RLHF_XLA: xla,
}: ComputeSettings): EngineChoice {
  const engine = RLHF_ENGINE ?? (device === 'cuda' ? 'tensorflow' : 'onnx');
  if (engine === 'tensorflow') return { engine, device, options: { precision, xla } };
  const other = [
    ...(device === 'cuda' ? ['RLHF_DEVICE=cuda'] : []),
    ...(precision === 'bf16' ? ['RLHF_PRECISION=bf16'] : []),
    ...(xla ? ['RLHF_XLA=true'] : []),
  ];
  if (other.length === 0) return { engine };
  throw new RuntimeError(
    'RUNTIME_SETTINGS',
    `expected RLHF_ENGINE=tensorflow with ${other.join(' and ')}, got the onnx engine, which computes in float32 on the CPU`,
  );
}

/** What people know an engine by: `onnx`, `tensorflow, bf16, XLA`. */
export const engineInWords = (choice: EngineChoice): string =>
  choice.engine === 'onnx'
    ? choice.engine
    : [choice.engine, choice.options.precision, ...(choice.options.xla ? ['XLA'] : [])].join(', ');

/** A number of threads; `threadsOn` says how many where none is given. */
const computeThreads = z.coerce
  .number()
  .int()
  .min(1)
  .max(64)
  .optional()
  .meta({ defaultInWords: 'the cores, at most 4; 1 where RLHF_DEVICE is cuda' });

/** Settings of the policy service; the coordinator needs them to estimate the memory that a model takes there. */
export const generationSettings = deviceSettings.extend({
  RLHF_POLICY_THREADS: computeThreads.describe(
    'compute threads of the policy service; each holds slots, and its own copy of weights that are trained whole: adapters share their base. On a GPU each has weights, bases among them, and caches of its own there',
  ),
  RLHF_POLICY_SLOTS: z.coerce
    .number()
    .int()
    .min(1)
    .max(1024)
    .default(32)
    .describe(
      'sequences that a thread of the policy service generates side by side; each takes the memory of a cache, and more of them use the cores better',
    ),
});

/** How many threads the policy service computes in. */
export const policyThreads = ({
  RLHF_POLICY_THREADS,
  RLHF_DEVICE,
}: z.output<typeof generationSettings>): number => RLHF_POLICY_THREADS ?? threadsOn(RLHF_DEVICE);

/** Settings of the reward and the reference service; the coordinator needs them to estimate the memory that a model takes there. */
export const scoringSettings = deviceSettings.extend({
  RLHF_SCORING_THREADS: computeThreads.describe(
    'compute threads of the reward service, and as many of the reference service: any number gives the same scores, and they share the weights; on a GPU each has its own there',
  ),
});

export type ScoringSettings = ComputeSettings & z.output<typeof scoringSettings>;

/** How many threads a service that scores computes in. */
export const scoringThreads = ({
  RLHF_SCORING_THREADS,
  RLHF_DEVICE,
}: z.output<typeof scoringSettings>): number => RLHF_SCORING_THREADS ?? threadsOn(RLHF_DEVICE);

/** On a GPU one thread uses all of it, and each more takes its memory once more. */
function threadsOn(device: z.output<typeof deviceSettings>['RLHF_DEVICE']): number {
  return device === 'cuda' ? 1 : Math.min(4, availableParallelism());
}

/** Settings of the optimizer; the coordinator needs them to estimate the memory that a run takes there. */
export const trainingSettings = z.object({
  RLHF_OPTIMIZER_WORKERS: z.coerce
    .number()
    .int()
    .min(1)
    .max(256)
    .default(availableParallelism())
    .meta({ defaultInWords: 'the cores' })
    .describe(
      'threads of the optimizer that compute micro-batches; any number gives the same weights, and each takes the memory of a micro-batch',
    ),
});

/** The bytes of memory at hand: what the setting says, else those of the machine or, if that is less, of its container. */
export function memoryLimit({ RLHF_MEMORY_LIMIT_BYTES }: z.output<typeof memorySettings>): number {
  if (RLHF_MEMORY_LIMIT_BYTES > 0) return RLHF_MEMORY_LIMIT_BYTES;
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
}
