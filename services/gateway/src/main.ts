import { main } from '@rlhf-streams/service';
import { gateway } from './service.js';

await main(gateway);
