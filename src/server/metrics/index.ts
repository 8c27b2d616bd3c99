export { type ServerMetrics, type ServerMetricsOptions, serverMetrics } from './metrics.ts';
