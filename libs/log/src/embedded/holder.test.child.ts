/** Run as a process by opening.test.ts: opens a log, says so, and keeps it until killed. */
import { writeSync } from 'node:fs';
import { embeddedLog } from './index.js';

try {
  await embeddedLog({ directory: process.argv[2]! });
  writeSync(1, 'open\n');
  process.stdin.resume();
} catch (error) {
  writeSync(1, `${(error as { code: string }).code}\n`);
}
