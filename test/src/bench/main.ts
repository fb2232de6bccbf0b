/** `npm run bench`: how fast the platform's parts are on this machine. */
import { writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { against } from './against/against.js';
import { capture } from './capture/capture.js';
import { checkpoint } from './checkpoint/checkpoint.js';
import { device } from './device/device.js';
import { generation } from './generation.js';
import { sharedKafka } from './kafka.js';
import { log } from './log/log.js';
import { lora } from './lora/lora.js';
import type { Measurement, Report } from './measurement.js';
import { microBatches } from './micro-batches.js';
import { ppo } from './ppo/ppo.js';
import { soak } from './soak/soak.js';
import { staleness } from './staleness/staleness.js';
import { formatTable } from './table.js';

const measurements: readonly Measurement[] = [
  capture,
  microBatches,
  generation,
  log,
  ppo,
  staleness,
  soak,
  against,
  checkpoint,
  lora,
  device,
];
const names = measurements.map(({ name }) => name);
const byDefault = measurements.filter(({ onlyByName }) => !onlyByName).map(({ name }) => name);

const USAGE = `usage: npm run bench -- [--only NAME]... [--against REV] [--big] [--minutes N] [--json FILE]
  --only NAME    ${names.join(', ')}; may be given several times
  --against REV  builds a revision of this repository, once, and measures it beside this build and PyTorch (where
                 python3, or the Python that RLHF_PYTHON names, has torch); nothing else, unless named
  --big          capture: the model of 11.5 million parameters as well
  --minutes N    soak: how long; only measured when named (default 10)
  --model DIR    checkpoint, lora: the folder of a model to generate by, or to train, beside transformers and PEFT where
                 RLHF_PYTHON has them (default: RLHF_TEST_SMOLLM2); only measured when named
  --device-filter WORDS   device: cases with all of these words in their names alone, as "train gpt2 bf16 xla"; may be given
                 several times; device is only measured when named, where there is a GPU
  --seconds N    device: how long, the most important first (default 3600)
  --tiny         device: tiny models on the processor, to see that everything runs
  --json FILE    write the results as JSON; - writes them to stdout, and the tables to stderr
Without --only and --against: ${byDefault.join(', ')}.`;

const options = readOptions();
const print = options.json === '-' ? console.error : console.log;
const load = () =>
  loadavg()
    .map((average) => average.toFixed(2))
    .join(' ');
const machine = {
  node: process.version,
  platform: `${process.platform} ${process.arch}`,
  cpu: cpus()[0]?.model.trim() ?? 'unknown',
  cores: availableParallelism(),
  date: new Date().toISOString(),
  loadBefore: load(),
};
print(`${machine.cores} cores of ${machine.cpu}, Node ${machine.node}, load ${machine.loadBefore}`);

const results: (Report & { name: string; about: string; seconds: number })[] = [];
const kafka = sharedKafka();
for (const { name, about, run } of measurements) {
  if (!options.only.includes(name)) continue;
  const begun = performance.now();
  const { big, minutes, against, model, device } = options;
  const report = await run({ big, minutes, against, model, device, brokers: kafka.brokers });
  const seconds = (performance.now() - begun) / 1000;
  results.push({ name, about, seconds, ...report });
  print(`\n${name}: ${about} (took ${seconds.toFixed(0)} s)`);
  if (report.rows.length > 0) print(`\n${formatTable(report.rows)}`);
  if (report.figures) print(`\n${formatTable([report.figures])}`);
  if (report.notes.length > 0) print(`\n${report.notes.map((note) => `  ${note}`).join('\n')}`);
}
await kafka.stop();
const loadAfter = load();
print(`\nload ${loadAfter}`);

if (options.json !== undefined) {
  const json = `${JSON.stringify({ machine: { ...machine, loadAfter }, results }, undefined, 2)}\n`;
  if (options.json === '-') process.stdout.write(json);
  else await writeFile(options.json, json);
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        only: { type: 'string', multiple: true },
        against: { type: 'string' },
        model: { type: 'string' },
        help: { type: 'boolean', default: false },
        big: { type: 'boolean', default: false },
        minutes: { type: 'string', default: '10' },
        'device-filter': { type: 'string', multiple: true, default: [] },
        seconds: { type: 'string', default: '3600' },
        tiny: { type: 'boolean', default: false },
        json: { type: 'string' },
      },
    });
    if (values.help) {
      console.log(USAGE);
      process.exit(0);
    }
    const unknown = values.only?.find((name) => !names.includes(name));
    if (unknown !== undefined) throw new Error(`there is no measurement ${unknown}`);
    const minutes = Number(values.minutes);
    if (!(minutes > 0)) throw new Error(`expected --minutes to be positive, got ${values.minutes}`);
    const seconds = Number(values.seconds);
    if (!(seconds > 0)) throw new Error(`expected --seconds to be positive, got ${values.seconds}`);
    const { against, big, json, tiny } = values;
    const device = { filters: values['device-filter'], seconds, tiny };
    const only = values.only ?? (against === undefined ? byDefault : ['against']);
    const model = values.model ?? process.env.RLHF_TEST_SMOLLM2;
    return { only, against, model, big, json, minutes, device };
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}
