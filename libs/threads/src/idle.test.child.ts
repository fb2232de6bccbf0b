/** A process that calls a thread, never closes it, and has nothing else to do. */
import { type Api, spawn } from './index.js';

type Calls = Api & { sum(numbers: readonly number[]): Promise<number> };

const thread = spawn<Calls>(new URL('./arithmetic.test.child.js', import.meta.url), { name: 'idle' });
const uncloneable = [() => 1] as unknown as number[];
await thread.call.sum(uncloneable).catch(() => {});
process.stdout.write(`${await thread.call.sum([1, 2])}`);
