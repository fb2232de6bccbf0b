/** `npm run bench`: how fast the platform's parts are on this machine. */
import { writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { capture } from './capture/capture.js';
import { generation } from './generation.js';
import { log } from './log/log.js';
import type { Measurement, Report } from './measurement.js';
import { microBatches } from './micro-batches.js';
import { ppo } from './ppo/ppo.js';
import { formatTable } from './table.js';

const measurements: readonly Measurement[] = [capture, microBatches, generation, log, ppo];
const names = measurements.map(({ name }) => name);

const USAGE = `usage: npm run bench -- [--only NAME]... [--big] [--json FILE]
  --only NAME   ${names.join(', ')}; may be given several times
  --big         capture: the model of 11.5 million parameters as well
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
for (const { name, about, run } of measurements) {
  if (options.only && !options.only.includes(name)) continue;
  const begun = performance.now();
  const report = await run({ big: options.big });
  const seconds = (performance.now() - begun) / 1000;
  results.push({ name, about, seconds, ...report });
  print(`\n${name}: ${about} (took ${seconds.toFixed(0)} s)\n\n${formatTable(report.rows)}`);
  if (report.figures) print(`\n${formatTable([report.figures])}`);
  if (report.notes.length > 0) print(`\n${report.notes.map((note) => `  ${note}`).join('\n')}`);
}
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
        json: { type: 'string' },
      },
    });
    const unknown = values.only?.find((name) => !names.includes(name));
    if (unknown === undefined) return values;
    throw new Error(`there is no measurement ${unknown}`);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}
