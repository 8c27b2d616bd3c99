/**
 * How often a property is tried: `count` times by `npm test`, `FUZZ_RUNS` times as often by `npm run fuzz`. The inputs are new in
 * each run, so a small number finds over time what a large one finds at once.
 */
export const runs = (count: number): { readonly numRuns: number } => ({ numRuns: count * fuzzRuns });

export const fuzzRuns = Number(process.env.FUZZ_RUNS ?? 1);
