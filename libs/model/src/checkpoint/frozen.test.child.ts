/** A process that wants the weights of a checkpoint, in two calls at once, and prints where they are. */
import { describeCheckpoint } from './directory.js';
import { frozenWeights } from './frozen.js';

const [dir, directory] = process.argv.slice(2) as [string, string];
const { config } = await describeCheckpoint(dir);
const open = () => frozenWeights(dir, config, dir, { directory, bytes: 0 });
const [frozen] = await Promise.all([open(), open()]);
process.stdout.write(frozen.stored.file);
