import { main } from '@rlhf-streams/runtime';
import { policy } from './service.js';

await main(policy);
