import { main } from '@rlhf-streams/runtime';
import { gateway } from './service.js';

await main(gateway);
