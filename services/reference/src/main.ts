import { main } from '@rlhf-streams/runtime';
import { reference } from './service.js';

await main(reference);
