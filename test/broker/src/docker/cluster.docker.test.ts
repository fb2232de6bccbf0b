import '../vitest/context.js';
import { describe, inject } from 'vitest';
import { describeClusters } from '../cluster.test.support.js';

describe.skipIf(!inject('docker'))('with Docker', () => describeClusters('docker'));
