/** Run as a process by a test that ends it: says so, and then requests an experiment of its own gateway. */
import { openClient, requestExperiment } from 'rlhf-streams';

const [directory, names] = process.argv.slice(2) as [string, string];
const runs = (JSON.parse(names) as string[]).map((run) => ({
  run,
  method: 'sft' as const,
  steps: 1,
  model: { layers: 1 },
  data: 'bundled',
}));
const client = await openClient({ directory });
// The gateway starts with the first question.
await client.request('/v1/experiments');
process.stdout.write('requesting\n');
await requestExperiment(client, { experiment: 'e', runs });
// The test ends this process.
setInterval(() => {}, 60_000);
