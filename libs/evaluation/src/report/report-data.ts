import type { PolicySummary } from '../policies.js';

/** One metric of a stage over its steps; `values[i]` was measured at `steps[i]`, null where it was not. */
export interface MetricSeries {
  /** The metric's name on the log, such as `objective/kl`. */
  readonly name: string;
  readonly unit?: string;
  /** Strictly ascending. */
  readonly steps: readonly number[];
  readonly values: readonly (number | null)[];
}

/** A stage of training (SFT, reward model, PPO, DPO) and its metrics. */
export interface StageReport {
  /** A stage that is named like a policy is drawn in that policy's colour. */
  readonly name: string;
  readonly description?: string;
  readonly series: readonly MetricSeries[];
  /** Metrics, by name, that share one plot; every other metric has its own plot. */
  readonly groups?: readonly { readonly title: string; readonly series: readonly string[] }[];
}

/** Completions of one prompt, in the order to be shown. */
export interface SampleGroup {
  readonly prompt: string;
  readonly completions: readonly { readonly policy: string; readonly text: string; readonly gold?: number }[];
}

/** How far a policy had come at one point of its training, on the same prompts as the summary. */
export interface FrontierPoint {
  readonly kl: number;
  readonly gold: number;
}

/** Everything that a run's report shows. Texts may hold anything: they are escaped. */
export interface ReportData {
  readonly title: string;
  /** ISO 8601 time, given by the caller: a report is a pure function of its data. */
  readonly createdAt: string;
  /** Seed, corpus, model size, cores, wall time, versions. */
  readonly facts: readonly (readonly [string, string])[];
  readonly policies: readonly PolicySummary[];
  readonly verdict: { readonly ok: boolean; readonly text: string };
  readonly stages: readonly StageReport[];
  /** Paths of policies through the reward-KL plane over training, by policy name. */
  readonly frontier?: readonly { readonly policy: string; readonly points: readonly FrontierPoint[] }[];
  readonly samples: readonly SampleGroup[];
  readonly checkpoints: readonly { readonly name: string; readonly path: string }[];
}
