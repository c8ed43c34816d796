import type { Command } from 'commander';
import { isStorableTime } from '../core/time.ts';
import { inspectInvariants } from '../invariants/check.ts';
import { withDatabase } from './database.ts';
import { EXIT, UsageFault } from './exit.ts';

/** `lumis verify`: all invariants in one snapshot; exit code 1 when one is broken. */
export function verifyCommand(program: Command): void {
  program
    .command('verify')
    .description('check all invariants of the data; changes nothing')
    .option('--since <time>', 'only what was touched since, as in 2026-03-01T15:00:00Z')
    .option('--json', 'for scripts')
    .action(({ since, json }: { since?: string; json?: boolean }) =>
      withDatabase(async ({ db }) => {
        if (since !== undefined && !isStorableTime(since)) {
          throw new UsageFault('--since must be a time such as 2026-03-01T15:00:00Z');
        }
        const findings = await inspectInvariants(db, since === undefined ? {} : { since });
        const violations = findings.flatMap((finding) => finding.violations);
        if (violations.length > 0) process.exitCode = EXIT.foundWrong;
        if (json) {
          console.log(JSON.stringify({ ok: violations.length === 0, violations }));
          return;
        }
        for (const { invariant, violations: found, ms } of findings) {
          const verdict = found.length === 0 ? 'ok   ' : 'WRONG';
          console.log(
            `${verdict} ${invariant.id.padEnd(4)} ${invariant.name} (${Math.round(ms)} ms)`,
          );
          for (const { subject, detail } of found) console.log(`        ${subject}: ${detail}`);
        }
        console.log(
          violations.length === 0
            ? `all ${findings.length} invariants hold`
            : `${violations.length} violation(s); docs/invariants.md says what each means`,
        );
      }),
    );
}
