/** A process that starts a cluster, writes its addresses and never ends it. */
import { startKafka } from './index.js';

const kafka = await startKafka({ source: process.argv[2] as 'docker' | 'java' });
process.stdout.write(`${JSON.stringify(kafka.brokers)}\n`);
setInterval(() => {}, 60_000);
