/**
 * Packs what `run-device.sh` needs beside a Node and TensorFlow's libraries: `node pack-device.mjs FILE.tar.xz`, in a
 * checkout that is installed and built, where `npm run install:tensorflow` was run. What the programs load is found by
 * following their imports, with what packs the images: `npm ci --prefix infra/docker`.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../..', import.meta.url));
const [, , target] = process.argv;
if (!target) throw new Error('expected the file to write: node pack-device.mjs FILE.tar.xz');
const { nodeFileTrace } = createRequire(join(root, 'infra/docker/package.json'))('@vercel/nft');

const programs = ['main', 'computing-process', 'probing-process'].map(
  (name) => `test/dist/bench/device/${name}.js`,
);
const tensorflow = ['tfjs-node', 'tfjs-node-gpu']
  .map((name) => `node_modules/@tensorflow/${name}`)
  .find((link) => existsSync(join(root, link)));
if (!tensorflow) throw new Error('expected TensorFlow in node_modules: npm run install:tensorflow');

const traced = await nodeFileTrace([...programs, `${tensorflow}/dist/index.js`], {
  base: root,
  processCwd: root,
});
// The binding is found by its path; the link to the libraries is made where they are.
const found = [...traced.fileList].find((file) => /\/tfjs-node(-gpu)?\/dist\/index\.js$/.test(file));
const home = found.slice(0, -'/dist/index.js'.length);
const more = [
  'package.json',
  'test/python/device.py',
  'test/src/bench/device/run-device.sh',
  tensorflow,
  `${home}/package.json`,
  `${home}/lib/napi-v8/tfjs_binding.node`,
];

/** Native code for other systems, sources, and TensorFlow's libraries. */
const left = [
  /^(libs|services)\/[^/]+\/src\//,
  /^test\/python\/(?!device\.py$)/,
  new RegExp(`^node_modules/onnxruntime-node/bin/napi-v\\d+/(?!${process.platform}/${process.arch}/)`),
  /\/deps\/|\/\.tensorflow\/tensorflow\//,
  /\.(map|d\.ts|md)$/,
];
const files = [...new Set([...traced.fileList, ...more])].filter(
  (file) => !left.some((one) => one.test(file)),
);

const folder = await mkdtemp(join(tmpdir(), 'pack-device-'));
const list = join(folder, 'files');
writeFileSync(list, files.join('\n'));
const args = ['--create', '--xz', '--owner=0', '--group=0', '--no-recursion', '--file', resolve(target)];
execFileSync('tar', [...args, '--directory', root, '--files-from', list], {
  env: { ...process.env, XZ_OPT: '-9' },
  stdio: ['ignore', 'inherit', 'inherit'],
});
await rm(folder, { recursive: true });
console.log(`${target}: ${files.length} files, ${(statSync(target).size / 2 ** 20).toFixed(1)} MiB`);
