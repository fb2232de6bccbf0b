import { main } from '@rlhf-streams/service';
import { reference } from './service.js';

await main(reference);
