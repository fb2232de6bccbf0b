/**
 * Run as a process by a test, because ONNX Runtime writes to its standard error: starts a service alone on a GPU, each
 * that computes, and writes how that failed as JSON; nothing where there is a GPU.
 */
import { requireDevice } from '@rlhf-streams/tensor';
import { startPlatform } from 'rlhf-streams';

const [directory] = process.argv.slice(2) as [string];
const hasGpu = await requireDevice('cuda').then(
  () => true,
  () => false,
);
const others = { policy: 0, reward: 0, reference: 0, optimizer: 0, coordinator: 0, gateway: 0 };
const failures: Record<string, { readonly code?: unknown; readonly message: string }> = {};
if (!hasGpu) {
  for (const service of ['policy', 'reward', 'reference', 'optimizer'] as const) {
    const started = startPlatform({
      directory,
      environment: { RLHF_DEVICE: 'cuda', RLHF_POLICY_THREADS: '1', RLHF_OPTIMIZER_WORKERS: '1' },
      replicas: { ...others, [service]: 1 },
      logLevel: 'silent',
    });
    const failure: Error & { code?: unknown } = await started.then(
      () => new Error('it became ready'),
      (error) => error,
    );
    failures[service] = { code: failure.code, message: failure.message };
  }
}
process.stdout.write(JSON.stringify({ hasGpu, failures }));
