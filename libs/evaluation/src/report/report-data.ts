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

/** A point of a chart, with the ends of its bars: intervals, or ranges, as the chart's note says. */
export interface ChartPoint {
  readonly x: number;
  readonly y: number;
  readonly xRange?: readonly [low: number, high: number];
  readonly yRange?: readonly [low: number, high: number];
}

/** What is drawn in one colour and with one symbol. */
export interface ChartSeries {
  readonly name: string;
  readonly points: readonly ChartPoint[];
  /** How its points are joined, in their order. `step` goes right before it goes up, as a Pareto front does. Default: `line`. */
  readonly joined?: 'line' | 'step' | 'none';
  /** Points that stand behind the series, in its colour. */
  readonly behind?: readonly ChartPoint[];
}

/** One chart: its axes' titles name the unit. */
export interface Chart {
  readonly title: string;
  /** How to read it. */
  readonly note?: string;
  readonly x: string;
  readonly y: string;
  readonly series: readonly ChartSeries[];
}

/** A table: texts, and numbers at the right of their columns. The first column names the row. */
export interface ReportTable {
  readonly title?: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** A question with its answer: what was compared, in words, tables and charts. */
export interface ReportPart {
  readonly title: string;
  readonly text?: string;
  /** What came out, in a sentence. */
  readonly result?: string;
  readonly tables?: readonly ReportTable[];
  readonly charts?: readonly Chart[];
}

/** Everything that a run's report shows. Texts may hold anything: they are escaped. */
export interface ReportData {
  readonly title: string;
  /** ISO 8601 time, given by the caller: a report is a pure function of its data. */
  readonly createdAt: string;
  /** Seed, corpus, model size, cores, wall time, versions. */
  readonly facts: readonly (readonly [string, string])[];
  readonly verdict?: { readonly ok: boolean; readonly text: string };
  readonly policies?: readonly PolicySummary[];
  readonly parts?: readonly ReportPart[];
  readonly stages?: readonly StageReport[];
  readonly samples?: readonly SampleGroup[];
  readonly checkpoints?: readonly { readonly name: string; readonly path: string }[];
}
