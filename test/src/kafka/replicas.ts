/** Replicas of a service among the processes of a test, and what they have done. */
import type { TopicName } from '@rlhf-streams/events';
import type { Processes, ServiceName, Supervised } from 'rlhf-streams';
import { until } from './waiting.js';

export const replicasOf = ({ services }: Processes, service: ServiceName): Supervised[] =>
  services.filter((each) => each.service === service);

/** Events that a replica has published on a topic in this life. */
async function published({ url }: Pick<Supervised, 'url'>, topic: TopicName): Promise<number> {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const lines = metrics
    .split('\n')
    .filter((line) => line.startsWith('events_published_total{') && line.includes(`topic="${topic}"`));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.indexOf('} ') + 2).split(' ')[0]), 0);
}

/** Waits until a replica publishes more on a topic than it has by now. */
export async function publishes(replica: Supervised, topic: TopicName): Promise<void> {
  const before = await published(replica, topic);
  await until(
    `another event of ${replica.service} at ${replica.url} on ${topic}`,
    async () => (await published(replica, topic)) > before,
  );
}
