/** Puts a folder, fetches it on another machine, and prints how much memory that took; argument: options as JSON. */
import { s3Artifacts } from './index.js';
import type { S3Options } from './options.js';

interface Task {
  readonly options: Omit<S3Options, 'cacheDirectory'>;
  readonly source: string;
  readonly caches: readonly [string, string];
}

const { options, source, caches } = JSON.parse(process.argv[2]!) as Task;
const before = process.memoryUsage.rss();
const ref = await s3Artifacts({ ...options, cacheDirectory: caches[0] }).putDirectory(source);
const folder = await s3Artifacts({ ...options, cacheDirectory: caches[1] }).fetch(ref);
const grown = process.resourceUsage().maxRSS * 1024 - before;
process.stdout.write(`${JSON.stringify({ ref, folder, grown })}\n`);
