/** Removes the cluster named in its argument when the pipe from its parent breaks, whatever the parent ended of. */
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { type DockerNames, removeFromDocker } from './remove.js';

const LATE_MS = 10_000;

const names = JSON.parse(process.argv[2]!) as DockerNames;
await once(process.stdin.resume(), 'close');
await removeFromDocker(names);
// What the engine was asked for just before the parent died.
await pause(LATE_MS);
await removeFromDocker(names);
