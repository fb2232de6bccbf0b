import { main } from '@rlhf-streams/runtime';
import { optimizer } from './service.js';

await main(optimizer);
