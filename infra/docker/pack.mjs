/**
 * Lays out what runs in production as layers of images: `node pack.mjs <folder>`, in a checkout that is installed and
 * built. What a program needs is found by following its imports; everything else stays behind.
 *
 *     <folder>/common     what every image has
 *     <folder>/compute    what every image that computes has besides
 *     <folder>/<image>    the rest of each image
 */
import { cp, mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nodeFileTrace } from '@vercel/nft';
import { codeOf } from '../../libs/service/dist/build.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Files that are looked up at run time, where no import leads, by a file that does so. */
const lookedUp = {
  'node_modules/lmdb/index.js': [`node_modules/@lmdb/lmdb-${process.platform}-${process.arch}/`],
};

/** What a trace finds and an image has no use for: native code for other systems, and sources. */
const foreign = [
  /^(libs|services)\/[^/]+\/src\//,
  new RegExp(`^node_modules/onnxruntime-node/bin/napi-v\\d+/(?!${process.platform}/${process.arch}/)`),
  /^node_modules\/@lmdb\/.*\/node\.(?!napi\.glibc\.)/,
];

const computes = (files) => [...files].some((file) => file.startsWith('node_modules/onnxruntime-node/'));
const packageOf = (file) => /^.*node_modules\/(@[^/]+\/)?[^/]+(?=\/)/.exec(file)?.[0];
const licence = /\/(licen[cs]e|copying|notice|thirdpartynotices)[^/]*$/i;

/** What is known of a file holds for every program that loads it. */
const cache = {};

const [, , target] = process.argv;
if (!target) throw new Error('expected the folder to fill: node pack.mjs <folder>');
for (const [layer, files] of await layers()) {
  for (const file of files) await copy(file, resolve(target, layer, file));
  process.stdout.write(`${layer}: ${files.size} files\n`);
}

// An image has no sources to compute its build from, so the build is stamped into it.
const { REVISION: revision } = process.env;
const stamp = resolve(target, 'compute', 'libs/service/dist/build.json');
await mkdir(dirname(stamp), { recursive: true });
await writeFile(
  stamp,
  JSON.stringify({ ...codeOf(root), ...(revision && revision !== 'unknown' && { revision }) }),
);

async function layers() {
  const images = new Map();
  for (const [image, entries] of await programs()) images.set(image, await filesOf(entries));
  const all = [...images.values()];
  const common = inEach(all);
  const compute = inEach(all.filter(computes)).difference(common);
  const rest = [...images].map(([image, files]) => [image, files.difference(common).difference(compute)]);
  return [['common', common], ['compute', compute], ...rest];
}

/** What each image can start. The command starts services as processes. */
async function programs() {
  const services = (await readdir(join(root, 'services'))).filter((name) => name !== 'cli');
  const main = (service) => `services/${service}/dist/main.js`;
  return [
    ['cli', ['services/cli/bin/rlhf-streams.js', ...services.map(main)]],
    ...services.map((service) => [service, [main(service)]]),
  ];
}

/** Relative to the checkout. */
async function filesOf(entries) {
  const files = await trace(new Set(entries));
  for (const [file, others] of Object.entries(lookedUp)) {
    if (!files.has(file)) continue;
    for (const other of others) {
      for (const each of other.endsWith('/') ? await filesIn(other) : [other]) files.add(each);
    }
  }
  for (const folder of new Set([...files].map(packageOf))) {
    if (!folder) continue;
    for (const file of await filesIn(`${folder}/`)) if (licence.test(file)) files.add(file);
  }
  return new Set([...files].filter((file) => !foreign.some((pattern) => pattern.test(file))));
}

/** The files that programs load, also those of the threads and processes they start. */
async function trace(entries) {
  const { fileList } = await nodeFileTrace([...entries], { base: root, processCwd: root, cache });
  // A thread's module is known by its URL alone: what it imports shows when it is an entry itself.
  const own = [...fileList].filter((file) => /^(libs|services)\/.*\.js$/.test(file));
  const found = new Set([...entries, ...own]);
  return found.size === entries.size ? new Set(fileList) : trace(found);
}

async function filesIn(folder) {
  const entries = await readdir(join(root, folder), { withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => `${folder}${name}`);
}

function inEach([first, ...others]) {
  return others.reduce((files, other) => files.intersection(other), first);
}

async function copy(file, to) {
  await mkdir(dirname(to), { recursive: true });
  await cp(join(root, file), to, { verbatimSymlinks: true });
}
