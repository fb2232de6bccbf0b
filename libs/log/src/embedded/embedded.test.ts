import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { logConformance } from '../conformance/index.js';
import { embeddedLog } from './index.js';

logConformance('embedded', {
  async create() {
    const directory = await mkdtemp(join(tmpdir(), 'log-'));
    return {
      log: await embeddedLog({ directory }),
      reopen: () => embeddedLog({ directory }),
      cleanup: () => rm(directory, { recursive: true }),
    };
  },
});
