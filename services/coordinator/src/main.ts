import { main } from '@rlhf-streams/service';
import { coordinator } from './service.js';

await main(coordinator);
