/** A process that reads a checkpoint, and prints how many bytes that took at its peak. */
import { readFileSync, writeFileSync } from 'node:fs';
import { describeCheckpoint, readWeights } from './directory.js';
import { frozenWeights } from './frozen.js';

const [how, small, large, directory] = process.argv.slice(2) as [string, string, string, string];

const bytesOf = (field: string): number =>
  1024 * Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))![1]);

async function read(dir: string): Promise<unknown> {
  const { config } = await describeCheckpoint(dir);
  return how === 'frozen'
    ? frozenWeights(dir, config, dir, { directory, bytes: 0 })
    : readWeights(dir, config);
}

// What the libraries need, whatever the model.
await read(small);
const before = bytesOf('VmRSS');
writeFileSync('/proc/self/clear_refs', '5');
const kept = await read(large);
process.stdout.write(JSON.stringify({ peak: bytesOf('VmHWM') - before, kept: kept !== undefined }));
