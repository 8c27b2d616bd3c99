// node scripts/ci-summary.mjs report.json…: adds up vitest's JSON reports and prints `N passed, N failed, N skipped`.
// A test file that could not run, and a missing report, count as one failure each.
import { readFileSync } from 'node:fs';

function countsOf(path) {
  try {
    const report = JSON.parse(readFileSync(path, 'utf8'));
    const broken = report.testResults.filter(
      ({ status, assertionResults }) => status === 'failed' && !assertionResults.some((one) => one.status === 'failed'),
    );
    return {
      passed: report.numPassedTests,
      failed: report.numFailedTests + broken.length,
      skipped: report.numPendingTests + report.numTodoTests,
    };
  } catch (error) {
    console.error(`Cannot read report "${path}": ${error instanceof Error ? error.message : error}`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

const reports = process.argv.slice(2).map(countsOf);
const sum = (name) => reports.reduce((total, counts) => total + counts[name], 0);
console.log(`${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`);
