/** What each service's OpenAPI document says of it is what it does. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { filesystemArtifacts } from '@rlhf-streams/artifacts';
import { topicSpecs } from '@rlhf-streams/bus';
import { coordinator } from '@rlhf-streams/coordinator';
import { gateway } from '@rlhf-streams/gateway';
import { type EventLog, memoryLog } from '@rlhf-streams/log';
import { optimizer } from '@rlhf-streams/optimizer';
import { policy } from '@rlhf-streams/policy';
import { reference } from '@rlhf-streams/reference';
import { reward } from '@rlhf-streams/reward';
import {
  createLogger,
  type Http,
  type ProblemDetails,
  type RunningService,
  type ServiceDefinition,
  startService,
} from '@rlhf-streams/service';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { oneThread } from './tiny-runs.js';

interface Media {
  readonly example?: unknown;
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>;
}
interface Operation {
  readonly requestBody?: { readonly content: { readonly 'application/json': Media } };
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, Media>> }>>;
}
interface Document {
  readonly info: { readonly title: string; readonly description: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

const definitions = { gateway, coordinator, policy, reward, reference, optimizer };
const operators = ['get /healthz', 'get /metrics', 'get /readyz'];

describe.each(Object.entries(definitions))('the document of %s', (name, definition) => {
  let folder: string;
  let log: EventLog;
  let service: RunningService;
  let http: Http;
  let document: Document;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'openapi-'));
    log = memoryLog();
    await log.ensureTopics(topicSpecs);
    const watched: ServiceDefinition = {
      ...(definition as unknown as ServiceDefinition),
      start: async (context) => {
        http = context.http;
        await (definition as unknown as ServiceDefinition).start(context);
      },
    };
    const artifacts = filesystemArtifacts({ directory: join(folder, 'artifacts') });
    const environment = { ...oneThread, RLHF_DATA_DIR: folder };
    const logger = createLogger({ level: 'silent' });
    service = await startService(watched, { log, artifacts, environment, port: 0, logger });
    document = (await (await service.request('/openapi.json')).json()) as Document;
  });
  afterAll(async () => {
    await service.stop();
    await log.close();
    await rm(folder, { recursive: true });
  });

  const operations = () =>
    Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ method, path, operation })),
    );

  it('has every route, and no other', () => {
    const added = http.routes
      .filter(({ method, path }) => method !== 'ALL' && path !== '/openapi.json')
      .map(({ method, path }) => `${method.toLowerCase()} ${path.replaceAll(/:(\w+)/g, '{$1}')}`);
    const described = operations().map(({ method, path }) => `${method} ${path}`);
    expect(described.sort()).toEqual([...new Set([...added, ...operators])].sort());
    expect(document.info.title).toBe(`rlhf-streams ${name}`);
    expect(document.info.description).toContain('RFC 9457');
  });

  it('refers to no schema that is not there', () => {
    const references = JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g);
    for (const [, schema] of references) expect(document.components.schemas).toHaveProperty(schema!);
  });

  it('shows every body and answer by an example, and every body is one that the route takes', async () => {
    for (const { method, path, operation } of operations()) {
      const answers = Object.entries(operation.responses).flatMap(([status, { content = {} }]) =>
        status.startsWith('2') ? Object.values(content) : [],
      );
      expect(answers.filter((media) => media.example ?? media.examples).length, path).toBeGreaterThan(0);
      const body = operation.requestBody?.content['application/json'];
      if (!body) continue;
      const examples = Object.values(body.examples ?? { only: { value: body.example } });
      expect(examples.length, path).toBeGreaterThan(0);
      for (const { value } of examples) {
        expect(value, path).toBeDefined();
        const response = await service.request(path.replaceAll(/{\w+}/g, 'none'), {
          method: method.toUpperCase(),
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(value),
        });
        const answer = (await response.json()) as Partial<ProblemDetails>;
        // There are no runs here but those of other examples, so that some are not found or exist otherwise; but each
        // example was read.
        expect([200, 201, 202, 404, 409], `${path}: ${JSON.stringify(answer)}`).toContain(response.status);
        if (response.status >= 400) expect(answer.code).toMatch(/_NOT_FOUND$|_EXISTS$/);
      }
    }
  });
});
