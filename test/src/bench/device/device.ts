/** Training, prefill and decode by the tensorflow engine on a GPU, beside PyTorch on the same. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { missingLibraries, python } from '../../python/python.js';
import type { Measurement, Report } from '../measurement.js';
import { type Case, onGpu, selected, tinyOnCpu } from './cases.js';
import { gpuName } from './gpu.js';
import { measure } from './measure.js';
import type { DeviceOptions } from './options.js';
import { missingOf, type Result, rowsOf } from './results.js';

export const device: Measurement = {
  name: 'device',
  about: 'GPT-2 124M and SmolLM2-135M on a GPU: a step of training, prefill and decode, beside PyTorch',
  onlyByName: true,
  run: ({ device }) => measureDevice(device, () => {}),
};

/** @param onResult called with each result as soon as it is there */
export async function measureDevice(
  { filters, seconds, tiny }: DeviceOptions,
  onResult: (result: Result) => void,
): Promise<Report> {
  const where = tiny ? 'cpu' : 'cuda';
  const gpu = tiny ? undefined : gpuName();
  const ours = !tiny && gpu === undefined ? 'no CUDA device' : missingForUs(where);
  if (ours !== undefined) return { rows: [], notes: [`skipped: ${tiny ? '' : 'no GPU '}(${ours})`] };
  const torch = missingForTorch(where);
  const cases = selected(tiny ? tinyOnCpu : onGpu, filters);
  if (cases.length === 0) throw new Error(`expected words of names as ${onGpu[0]!.name}, got ${filters}`);
  const results = await measure(cases, {
    seconds,
    missing: torch === undefined ? {} : { torch },
    onResult(result) {
      console.error(lineOf(result));
      onResult(result);
    },
  });
  return { rows: rowsOf(results), notes: [...notesOf(gpu, torch), ...missingOf(results)] };
}

const PROBE_LIMIT_MS = 180_000;
const probe = fileURLToPath(new URL('./probing-process.js', import.meta.url));

/** Why TensorFlow cannot compute there; undefined where it can. */
function missingForUs(where: Case['device']): string | undefined {
  const { status, signal, stderr } = spawnSync(process.execPath, [probe, where], {
    encoding: 'utf8',
    timeout: PROBE_LIMIT_MS,
  });
  if (status === 0) return undefined;
  console.error(stderr);
  const said = /^.*Error: (.*)$/m.exec(stderr)?.[1];
  return said ?? `the product of two matrices ended with ${signal ?? status}: ${stderr.slice(-500)}`;
}

/** Why PyTorch cannot be measured there; undefined where it can. */
function missingForTorch(where: Case['device']): string | undefined {
  const missing = missingLibraries(['torch', 'transformers']);
  if (missing !== undefined) return `${missing} is missing: name a Python that has it in RLHF_PYTHON`;
  if (where === 'cpu') return undefined;
  const asked = 'import torch; print(torch.cuda.is_available())';
  const { stdout } = spawnSync(python, ['-c', asked], { encoding: 'utf8', timeout: PROBE_LIMIT_MS });
  return stdout.trim() === 'True' ? undefined : 'PyTorch finds no GPU';
}

const lineOf = (result: Result): string => {
  const [row] = rowsOf([result]);
  if (row) return `${result.case.name}: ${row['tokens/s']} tokens/s`;
  return missingOf([result])[0]!;
};

const notesOf = (gpu: string | undefined, torch: string | undefined): string[] => [
  ...(gpu === undefined ? [] : [`On ${gpu} (name, MiB, driver).`]),
  'A step of training is the gradient of one micro-batch and AdamW, clipped; the loss is read at every step by both. Decode is',
  'at temperature 1, without the prefill; PyTorch has a cache that stands still, and weights in bfloat16 where it says bf16.',
  'Medians of calls after three others. ": compile, graph" is the speed as a part of that of torch.compile (training,',
  'prefill) or of the CUDA graph (decode). GPU MB is what the driver shows in use beyond the start: of TensorFlow, what its',
  'allocator has grown to (TF_FORCE_GPU_ALLOW_GROWTH), up to twice of what it gives out; of a process, what it has had so far.',
  ...(torch === undefined ? [] : [`PyTorch was left out: ${torch}.`]),
];
