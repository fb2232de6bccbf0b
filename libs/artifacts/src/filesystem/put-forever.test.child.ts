/** Puts artifacts one after another and prints each reference, until it is killed. */
import { randomBytes } from 'node:crypto';
import { filesystemArtifacts } from './index.js';

const store = filesystemArtifacts({ directory: process.argv[2]! });
const shared = Buffer.alloc(300_000, 'shared between all');
for (let i = 0; ; i++) {
  const { sha256 } = await store.putFiles({
    'config.json': JSON.stringify({ i }),
    'weights/a.bin': randomBytes(2_000_000),
    'weights/b.bin': randomBytes(500_000),
    'shared.bin': shared,
  });
  process.stdout.write(`${sha256}\n`);
}
