/** The experiment once more, killed on its way, to be compared with the one that nobody killed. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { modelKey } from '@rlhf-streams/events';
import { applyVersion, type ExperimentInput, type PublishedVersion } from '@rlhf-streams/runs';
import { openClient } from 'rlhf-streams';
import { environmentOf, type Place } from './services.js';

const child = fileURLToPath(new URL('./train.child.js', import.meta.url));

/**
 * Trains, and kills what trains by SIGKILL after the first step of each run, until nothing is left to do.
 * @returns how often it was killed
 */
export async function trainKilled(
  place: Place,
  experiment: ExperimentInput,
  killed: (run: string) => void,
): Promise<number> {
  const left = new Set(experiment.runs.map(({ run }) => run));
  let kills = 0;
  for (;;) {
    const training = fork(child, [JSON.stringify({ place, experiment })], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const ended = once(training, 'exit');
    training.on('message', (message) => {
      const { run, step } = message as { readonly run: string; readonly step: number };
      if (step !== 0 || !left.delete(run)) return;
      kills++;
      killed(run);
      // On Kafka its services are killed, which are started again.
      if (place.brokers === undefined) training.kill('SIGKILL');
    });
    const [code, signal] = await ended;
    if (code === 0) return kills;
    if (signal !== 'SIGKILL') throw new Error(`expected the training to end, it exited with code ${code}`);
  }
}

/** The newest version of each run, named by the contents of its base and its adapter. */
export async function versionsIn(place: Place): Promise<ReadonlyMap<string, string>> {
  const client = await openClient({ directory: place.directory, environment: environmentOf(place) });
  const versions = new Map<string, PublishedVersion>();
  for await (const event of client.events.readAll(['policy-versions'])) applyVersion(versions, event);
  await client.close();
  return new Map([...versions].map(([run, { model }]) => [run, modelKey(model)]));
}
