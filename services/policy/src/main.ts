import { main } from '@rlhf-streams/service';
import { policy } from './service.js';

await main(policy);
