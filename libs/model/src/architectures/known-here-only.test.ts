import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { gpt2 } from './gpt2/index.js';

const workspace = fileURLToPath(new URL('../../../../', import.meta.url));
const ARCHITECTURES = join('libs', 'model', 'src', 'architectures');

/** Sources of the packages, without tests and what only tests use. */
async function sources(): Promise<string[]> {
  const groups = ['libs', 'services'].map(async (group) => {
    const files = await readdir(join(workspace, group), { recursive: true });
    return files.filter((file) => /^[^/\\]+[/\\]src[/\\].*\.ts$/.test(file)).map((file) => join(group, file));
  });
  return (await Promise.all(groups)).flat().filter((file) => !file.includes('.test.'));
}

it('only the folder of an architecture knows the names of its tensors and the keys of its config.json', async () => {
  const config = gpt2.newConfig({ layers: 1, width: 8, heads: 1, vocabSize: 8, contextLength: 8 });
  const scalar = { ...config, head: { kind: 'scalar', labels: 1 } } as const;
  const untied = { ...config, tieWordEmbeddings: false };
  const tensors = [scalar, untied].flatMap((each) => [...gpt2.tensors(each).keys()]);
  const modules = tensors.flatMap((name) => name.replace(/\.(weight|bias)$/, '').split('.'));
  // Names such as `attn`, `mlp` and `score` are not GPT-2's alone.
  const ofTensors = modules.filter((name) => /_|^w.e$/.test(name));
  const ofConfig = Object.keys(gpt2.configJson(config)).filter((key) =>
    /^(n_|activation|layer_norm)/.test(key),
  );
  expect(ofTensors).toEqual(expect.arrayContaining(['wte', 'c_attn', 'ln_f', 'lm_head']));
  expect(ofConfig).toEqual(expect.arrayContaining(['n_embd', 'activation_function']));
  const names = new RegExp(`\\b(${[...ofTensors, ...ofConfig].join('|')}|score\\.weight|transformer\\.h)\\b`);

  const inside = new Set<string>();
  const outside: string[] = [];
  for (const file of await sources()) {
    for (const line of (await readFile(join(workspace, file), 'utf8')).split('\n')) {
      // The settings of a new model list the words that other systems have for them.
      if (!names.test(line) || line.includes('register(named')) continue;
      if (dirname(file).startsWith(join(ARCHITECTURES, 'gpt2'))) inside.add(file);
      else if (dirname(dirname(file)) !== ARCHITECTURES) outside.push(`${file}: ${line.trim()}`);
    }
  }
  expect(inside.size).toBeGreaterThanOrEqual(3);
  expect(outside).toEqual([]);
});
