/** A process that computes with a file of packed tensors, and prints the MB by which its memory grew that is no file's. */
import { readFile } from 'node:fs/promises';
import { packedTensors } from './packed.js';
import { opened } from './packed.test.support.js';

const stored = await packedTensors(process.argv[2]!);
const privateMegabytes = async () =>
  Number(/RssAnon:\s+(\d+)/.exec(await readFile('/proc/self/status', 'utf8'))![1]) / 1000;

async function compute(hash: string): Promise<void> {
  const { run } = await opened({ hash, stored });
  for (const rows of [1, 2, 9, 32]) await run(rows);
}

// What the libraries need, whatever the matrices.
await compute('first');
const before = await privateMegabytes();
await compute('second');
process.stdout.write(String((await privateMegabytes()) - before));
