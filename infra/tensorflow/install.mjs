/**
 * Brings TensorFlow to this checkout, for the tensorflow engine: `node install.mjs [--cuda]`.
 *
 * The JavaScript is tfjs-node's, whose own installer would fetch a TensorFlow of 2021 from elsewhere: the libraries are
 * those of PyPI's wheel instead, in which nothing of Python is used, and the binding between the two is compiled here.
 *
 *     node_modules/.tensorflow/tensorflow      TensorFlow's libraries
 *     node_modules/.tensorflow/nvidia          CUDA's, where TensorFlow's look for them: beside themselves
 *     node_modules/.tensorflow/node_modules    tfjs-node and what it needs, but for tfjs, which must be the checkout's
 *     node_modules/@tensorflow/tfjs-node       a link to it (with --cuda tfjs-node-gpu)
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { chmod, copyFile, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { run } from './run.mjs';
import { whatIsMissing } from './what-is-missing.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const modules = join(here, '..', '..', 'node_modules');
const home = join(modules, '.tensorflow');

const cuda = isForGpu();
const device = cuda ? 'cuda' : 'cpu';
const name = cuda ? 'tfjs-node-gpu' : 'tfjs-node';
/** What differs from it has other libraries. */
const wanted = createHash('sha256')
  .update(
    ['package-lock.json', `${device}.txt`, 'install.mjs']
      .map((file) => readFileSync(join(here, file)))
      .join(),
  )
  .digest('hex');

const say = (line) => process.stderr.write(`${line}\n`);

try {
  const found = (await isInstalled()) ? await probe(home) : undefined;
  if (found) say('TensorFlow is installed already.');
  say(found ?? (await install()));
} catch (error) {
  say(error.message);
  process.exitCode = 1;
}

async function isInstalled() {
  try {
    return (await readFile(join(home, 'installed'), 'utf8')) === wanted;
  } catch (error) {
    if (error.code === 'ENOENT') return false;
    throw error;
  }
}

/** In a folder beside its place, to which it moves when it computes. */
async function install() {
  const missing = await whatIsMissing(modules, device);
  if (missing.length > 0) throw new Error(['TensorFlow cannot be installed:', ...missing].join('\n- '));
  const partial = `${home}.partial`;
  await rm(partial, { recursive: true, force: true });
  try {
    await mkdir(partial, { recursive: true });
    say('Fetching tfjs-node from npm …');
    await bringPackage(partial);
    say(`Fetching TensorFlow${cuda ? ' and CUDA from PyPI (3.4 GB)' : ' from PyPI (270 MB)'} …`);
    await bringLibraries(partial);
    say('Compiling the binding …');
    await compile(partial);
    const found = await probe(partial);
    await writeFile(join(partial, 'installed'), wanted);
    await takePlace(partial);
    return found;
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

async function bringPackage(to) {
  for (const file of ['package.json', 'package-lock.json']) await copyFile(join(here, file), join(to, file));
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
  await run('npm', ['ci', '--prefix', to, '--ignore-scripts', '--prefer-offline', ...quiet], { cwd: to });
  const tensorflow = join(to, 'node_modules/@tensorflow');
  // tfjs of its own would be another one than the one that the programs' tensors are of.
  for (const other of await readdir(tensorflow))
    if (other !== name) await rm(join(tensorflow, other), { recursive: true });
}

/** Whether the libraries for a GPU are asked for. npm takes an option for its own where `--` is forgotten before it. */
function isForGpu() {
  try {
    const { cuda } = parseArgs({ options: { cuda: { type: 'boolean', default: false } } }).values;
    return cuda || process.env.npm_config_cuda === 'true';
  } catch (error) {
    process.stderr.write(`${error.message.split('.')[0]}: expected nothing, or -- --cuda for a GPU\n`);
    process.exit(2);
  }
}

async function bringLibraries(to) {
  const wheels = join(to, 'wheels');
  const platforms = ['2_27', '2_25', '2_17', '2_12'].map(
    (glibc) => `--platform=manylinux_${glibc}_${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}`,
  );
  const any = [
    '--only-binary=:all:',
    '--python-version=3.11',
    '--implementation=cp',
    '--abi=cp311',
    '--abi=none',
  ];
  await run('python3', [
    ...['-m', 'pip', 'download', '--quiet', '--no-cache-dir', '--no-deps', '--require-hashes'],
    ...[...any, ...platforms, '--dest', wheels, '--requirement', join(here, `${device}.txt`)],
  ]);
  for (const wheel of await readdir(wheels)) {
    await run('unzip', ['-q', join(wheels, wheel), ...partsOf(wheel), '-d', to]);
    await rm(join(wheels, wheel));
  }
  await rm(wheels, { recursive: true });
  if (!cuda) return;
  // In the wheel only its owner may run it.
  await chmod(join(to, 'nvidia/cuda_nvcc/bin/ptxas'), 0o755);
  // TensorFlow opens it from the library that does not know its folder (its RUNPATH has those of the others), and without it
  // takes no GPU.
  for (const library of await readdir(join(to, 'nvidia/cusolver/lib')))
    await symlink(`../../cusolver/lib/${library}`, join(to, 'nvidia/cuda_runtime/lib', library));
}

/** The files of a wheel that are needed: libraries that are opened, headers to compile with, and licences. */
function partsOf(wheel) {
  const licence = '*.dist-info/*icense*';
  if (wheel.startsWith('nvidia_cuda_nvcc')) return ['nvidia/*/ptxas', 'nvidia/*/nvvm/libdevice/*', licence];
  if (wheel.startsWith('nvidia_'))
    return ['nvidia/*/lib/*.so.*', licence, '-x', '*.alt.so.*', '*/libcusolverMg.*', '*/libcufftw.*'];
  return [
    ...['tensorflow/libtensorflow_cc.so.2', 'tensorflow/libtensorflow_framework.so.2'],
    ...[
      'tensorflow/include/tensorflow/c/*',
      'tensorflow/include/xla/tsl/c/*',
      'tensorflow/include/*/ctstring*',
    ],
  ];
}

/** Against Node-API alone, which every Node has: as tfjs-node's own build does it, but that needs more than a compiler. */
async function compile(to) {
  const libraries = join(to, 'tensorflow');
  const tfjs = packageIn(to);
  await mkdir(join(tfjs, 'deps'));
  // A link to the folder: what lies beside it is found from there.
  await symlink('../../../../tensorflow', join(tfjs, 'deps/lib'));
  const binding = bindingIn(to);
  await mkdir(dirname(binding), { recursive: true });
  await run('g++', [
    ...['-std=c++17', '-O2', '-fPIC', '-shared', '-fvisibility=hidden', '-DNAPI_VERSION=8'],
    ...['-I', join(to, 'node_modules/node-api-headers/include'), '-I', join(libraries, 'include')],
    ...['tfjs_backend.cc', 'tfjs_binding.cc'].map((source) => join(tfjs, 'binding', source)),
    ...['-L', libraries, '-l:libtensorflow_cc.so.2', '-l:libtensorflow_framework.so.2'],
    // Node closes a library with the last thread that uses it, and TensorFlow's would crash the process at its end.
    ...['-Wl,-rpath,$ORIGIN/../../deps/lib', '-Wl,-z,nodelete', '-o', binding],
  ]);
  await rm(join(libraries, 'include'), { recursive: true });
}

/** Computes with the binding. @returns What did, in words. @throws Error when the binding cannot be loaded or is wrong. */
async function probe(from) {
  const env = { ...process.env, TF_CPP_MIN_LOG_LEVEL: '0' };
  const { output, errors } = await run(process.execPath, [join(here, 'probe.mjs'), bindingIn(from)], { env });
  const gpus = [...errors.matchAll(/Created device .*\bname: ([^,]+),/g)].map(([, gpu]) => gpu);
  if (gpus.length > 0) return `${output.trim()} on ${gpus.join(', ')}.`;
  const reasons = cuda ? errors.split('\n').filter((line) => /(^| )[EW]\d* .*(cuda|gpu)/i.test(line)) : [];
  return [`${output.trim()} on the CPU${cuda ? ', for it found no GPU' : ''}.`, ...reasons].join('\n');
}

async function takePlace(partial) {
  const links = join(modules, '@tensorflow');
  await mkdir(links, { recursive: true });
  for (const other of ['tfjs-node', 'tfjs-node-gpu'])
    await rm(join(links, other), { recursive: true, force: true });
  await rm(home, { recursive: true, force: true });
  await rename(partial, home);
  await symlink(`../.tensorflow/node_modules/@tensorflow/${name}`, join(links, name));
}

function packageIn(folder) {
  return join(folder, 'node_modules/@tensorflow', name);
}

function bindingIn(folder) {
  return join(packageIn(folder), 'lib/napi-v8/tfjs_binding.node');
}
