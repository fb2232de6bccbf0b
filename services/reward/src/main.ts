import { main } from '@rlhf-streams/runtime';
import { reward } from './service.js';

await main(reward);
