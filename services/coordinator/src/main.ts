import { main } from '@rlhf-streams/runtime';
import { coordinator } from './service.js';

await main(coordinator);
