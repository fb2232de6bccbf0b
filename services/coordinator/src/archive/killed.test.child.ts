/** A coordinator that kills its process at a moment of its archiving, or ends when every run is archived. */
import { join } from 'node:path';
import { type ArtifactStore, filesystemArtifacts } from '@rlhf-streams/artifacts';
import { createEvents } from '@rlhf-streams/bus';
import { type EventLog, embeddedLog } from '@rlhf-streams/log';
import { isArchived, readRuns } from '@rlhf-streams/runs';
import { startService } from '@rlhf-streams/service';
import { coordinator } from '../service.js';

/** `write`: in the middle of reading the log. `put`: the files are written. `stored`: the artifact is. `said`: the first is announced. */
export type Moment = 'write' | 'put' | 'stored' | 'said' | 'never';

const [directory, moment] = process.argv.slice(2) as [string, Moment];
const kill = () => process.kill(process.pid, 'SIGKILL');

const log = await embeddedLog({ directory: join(directory, 'log') });
const artifacts = filesystemArtifacts({ directory: join(directory, 'artifacts') });
const killing: EventLog = {
  ...log,
  read: (options) => {
    if (moment === 'write' && !options.follow && options.topics.join() === 'demonstrations') kill();
    return log.read(options);
  },
};
const store: ArtifactStore = {
  ...artifacts,
  putDirectory: async (...put) => {
    if (moment === 'put') kill();
    const ref = await artifacts.putDirectory(...put);
    if (moment === 'stored') kill();
    return ref;
  },
};
const service = await startService(coordinator, {
  log: killing,
  artifacts: store,
  environment: { RLHF_DATA_DIR: directory, PORT: '0', LOG_LEVEL: 'fatal' },
});
const events = createEvents({ log, source: 'test' });
for await (const { type } of events.follow({ topics: ['runs'] })) {
  if (type !== 'run.archived') continue;
  if (moment === 'said') kill();
  const runs = await readRuns(events.readAll(['runs']));
  if ([...runs.values()].every(isArchived)) break;
}
await service.stop();
await events.close();
await log.close();
