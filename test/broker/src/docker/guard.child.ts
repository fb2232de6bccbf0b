/** Removes the cluster that its argument names when the pipe from its parent breaks, however the parent ended. */
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { type DockerNames, removeFromDocker } from './remove.js';

const LATE_MS = 10_000;

const names = JSON.parse(process.argv[2]!) as DockerNames;
await once(process.stdin.resume(), 'close');
await removeFromDocker(names);
// The engine may still carry out what the parent asked for just before it died.
await pause(LATE_MS);
await removeFromDocker(names);
