import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { architectureOf, newModelConfig } from '../architectures/index.js';
import { weightBytes } from '../memory.js';
import type { ModelConfig } from '../model-config.js';
import { configText } from './config-file.js';
import { headerOf } from './safetensors.js';

const MB = 1e6;
const child = fileURLToPath(new URL('./peak.test.child.js', import.meta.url));
const shapeOf = (width: number, vocabSize: number): ModelConfig =>
  newModelConfig({ architecture: 'llama', vocabSize, contextLength: 16, width, layers: 2, heads: 4 });
const [small, large] = [shapeOf(16, 64), shapeOf(1024, 12_000)];

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'peak-'));
  for (const [name, config] of Object.entries({ small, large })) await writeZeros(join(root, name), config);
});
afterAll(() => rm(root, { recursive: true }));

/** A checkpoint in bfloat16 whose file is a header and a hole. */
async function writeZeros(dir: string, config: ModelConfig): Promise<void> {
  await mkdir(dir);
  await writeFile(join(dir, 'config.json'), configText(config, 'bfloat16'));
  const { tensors, storedName } = architectureOf(config);
  const entries = [...tensors(config)].map(([name, { shape }]) => {
    const bytes = 2 * shape.reduce((product, size) => product * size, 1);
    return [storedName(name), { dtype: 'BF16', shape, bytes }] as const;
  });
  const header = headerOf(entries, { format: 'pt' });
  await writeFile(join(dir, 'model.safetensors'), header);
  await truncate(
    join(dir, 'model.safetensors'),
    entries.reduce((sum, [, { bytes }]) => sum + bytes, header.length),
  );
}

describe.runIf(process.platform === 'linux')('the peak of memory', () => {
  const peakOf = async (how: 'frozen' | 'read') => {
    const folders = ['small', 'large', 'cache'].map((name) => join(root, name));
    const { stdout } = await promisify(execFile)(process.execPath, [child, how, ...folders]);
    return (JSON.parse(stdout) as { peak: number }).peak;
  };

  it('while weights are decoded into a file is a few megabytes, less than their largest tensor', async () => {
    expect(await peakOf('frozen')).toBeLessThan(32 * MB);
    expect(4 * large.vocabSize * large.width).toBeGreaterThan(48 * MB);
  });

  it('while weights are read is that of the weights', async () => {
    const peak = await peakOf('read');
    expect(peak).toBeGreaterThan(0.9 * weightBytes(large));
    expect(peak).toBeLessThan(weightBytes(large) + 48 * MB);
  });
});
