import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { architectureOf, newModelConfig } from './index.js';

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
  const families = ['gpt2', 'llama', 'qwen3'].map((architecture) => {
    const size = { layers: 1, width: 8, heads: 1, vocabSize: 8, contextLength: 8 };
    const config = newModelConfig({ architecture, ...size });
    const scalar = { ...config, head: { kind: 'scalar', labels: 1 } } as const;
    const untied = { ...config, tieWordEmbeddings: false };
    const { tensors, configJson } = architectureOf(config);
    const names = [scalar, untied].flatMap((each) => [...tensors(each).keys()]);
    return { names, keys: Object.keys(configJson(config)) };
  });
  const modules = families.flatMap(({ names }) =>
    names.flatMap((name) => name.replace(/\.(weight|bias)$/, '').split('.')),
  );
  // Names such as `attn`, `mlp` and `score` are not an architecture's alone.
  const ofTensors = modules.filter((name) => /_|^w.e$|layernorm/.test(name));
  const ofConfig = families.flatMap(({ keys }) =>
    keys.filter((key) => /^(n_|activation|layer_norm|hidden|rope|rms|intermediate)/.test(key)),
  );
  expect(ofTensors).toEqual(expect.arrayContaining(['wte', 'c_attn', 'ln_f', 'lm_head', 'q_proj', 'q_norm']));
  expect(ofConfig).toEqual(expect.arrayContaining(['n_embd', 'activation_function', 'rope_parameters']));
  const words = [...new Set([...ofTensors, ...ofConfig])].join('|');
  const names = new RegExp(`\\b(${words}|score\\.weight|transformer\\.h)\\b`);

  const inside = new Set<string>();
  const outside: string[] = [];
  for (const file of await sources()) {
    for (const line of (await readFile(join(workspace, file), 'utf8')).split('\n')) {
      // The settings of a new model list the words that other systems have for them; a text may give an example.
      const isWord = line.includes('register(named') || /^\s*(\*|\/\/)|such as/.test(line);
      if (!names.test(line) || isWord) continue;
      if (file.startsWith(ARCHITECTURES)) inside.add(file);
      else outside.push(`${file}: ${line.trim()}`);
    }
  }
  expect(inside.size).toBeGreaterThanOrEqual(6);
  expect(outside).toEqual([]);
});
