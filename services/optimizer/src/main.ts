import { main } from '@rlhf-streams/service';
import { optimizer } from './service.js';

await main(optimizer);
