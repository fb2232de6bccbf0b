/** Run as a process by data-file.ts: reads every entry of the LMDB folder named by its argument. */
import { openEnvironment } from './environment.js';

const root = openEnvironment(process.argv[2]!);
for (const name of [...root.getKeys()])
  for (const _ of root.openDB({ name: String(name), encoding: 'binary' }).getRange());
await root.close();
