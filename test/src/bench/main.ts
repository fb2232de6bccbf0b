/** `npm run bench`: how fast the platform's parts are on this machine. */
import { writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { capture } from './capture/capture.js';
import { generation } from './generation.js';
import { sharedKafka } from './kafka.js';
import { log } from './log/log.js';
import type { Measurement, Report } from './measurement.js';
import { microBatches } from './micro-batches.js';
import { ppo } from './ppo/ppo.js';
import { soak } from './soak/soak.js';
import { staleness } from './staleness/staleness.js';
import { formatTable } from './table.js';

const measurements: readonly Measurement[] = [capture, microBatches, generation, log, ppo, staleness, soak];
const names = measurements.map(({ name }) => name);

const USAGE = `usage: npm run bench -- [--only NAME]... [--big] [--minutes N] [--json FILE]
  --only NAME   ${names.join(', ')}; may be given several times
  --big         capture: the model of 11.5 million parameters as well
  --minutes N   soak: how long; only measured when named (default 10)
  --json FILE   write the results as JSON; - writes them to stdout, and the tables to stderr`;

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
for (const { name, about, onlyByName, run } of measurements) {
  if (options.only ? !options.only.includes(name) : onlyByName) continue;
  const begun = performance.now();
  const report = await run({ big: options.big, minutes: options.minutes, brokers: kafka.brokers });
  const seconds = (performance.now() - begun) / 1000;
  results.push({ name, about, seconds, ...report });
  print(`\n${name}: ${about} (took ${seconds.toFixed(0)} s)\n\n${formatTable(report.rows)}`);
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
        big: { type: 'boolean', default: false },
        minutes: { type: 'string', default: '10' },
        json: { type: 'string' },
      },
    });
    const unknown = values.only?.find((name) => !names.includes(name));
    if (unknown !== undefined) throw new Error(`there is no measurement ${unknown}`);
    const minutes = Number(values.minutes);
    if (!(minutes > 0)) throw new Error(`expected --minutes to be positive, got ${values.minutes}`);
    return { ...values, minutes };
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}
