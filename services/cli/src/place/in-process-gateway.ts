/** The one door to runs: a gateway in this process, which the command asks without a socket. */
import type { ArtifactStore } from '@rlhf-streams/artifacts';
import type { Logger } from '@rlhf-streams/bus';
import { asOwner, gateway } from '@rlhf-streams/gateway';
import type { EventLog } from '@rlhf-streams/log';
import { type Environment, type RunningService, startService } from '@rlhf-streams/service';
import { tellingWait } from './telling-wait.js';

/** Asks a gateway in this process, by a path of its HTTP interface such as `/v1/runs`. */
export type GatewayRequest = (path: string, init?: RequestInit) => Promise<Response>;

export interface FailedService {
  readonly service: string;
  readonly error: unknown;
}

/** Asks a gateway as who runs this process: a run may name any file of theirs. */
export const requestOf =
  (service: RunningService): GatewayRequest =>
  (path, init) =>
    service.request(path, init, asOwner);

export interface InProcessGateway {
  readonly request: GatewayRequest;
  /** Resolves when the gateway has failed. */
  readonly failed: Promise<FailedService>;
  close(): Promise<void>;
}

/**
 * A gateway over a log whose services run elsewhere, started when it is first asked. It keeps nothing that is not on the
 * log, so that any number of them may stand beside each other. Others reach it from this machine only, as any service
 * at a loopback address, and may name no file.
 */
export function inProcessGateway(about: {
  readonly log: EventLog;
  readonly artifacts: ArtifactStore;
  readonly environment: Environment;
  readonly logger: Logger;
}): InProcessGateway {
  let starting: Promise<RunningService> | undefined;
  let tellFailed: (failure: FailedService) => void;
  const failed = new Promise<FailedService>((resolve) => {
    tellFailed = resolve;
  });
  const start = async () => {
    const environment = { ...about.environment, HOST: '127.0.0.1' };
    const service = await startService(gateway, { ...about, environment, port: 0 });
    void service.ended.then(
      (end) => end.state === 'failed' && tellFailed({ service: service.name, error: end.error }),
    );
    return service;
  };
  return {
    request: async (path, init) => {
      starting ??= tellingWait('the log to tell of its runs', start());
      return requestOf(await starting)(path, init);
    },
    failed,
    close: async () => {
      const service = await starting?.catch(() => undefined);
      await service?.stop();
    },
  };
}
