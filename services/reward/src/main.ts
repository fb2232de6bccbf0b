import { main } from '@rlhf-streams/service';
import { reward } from './service.js';

await main(reward);
