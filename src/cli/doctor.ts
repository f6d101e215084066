import { doctor } from '../run/doctor.js';
import { table, type Screen } from './screen.js';

/** `tensorpress doctor`: exit code 1 when something that every run needs is missing. */
export async function doctorCommand(screen: Screen, { json }: { json: boolean }): Promise<number> {
  const findings = await doctor();
  if (json) {
    screen.print(JSON.stringify({ findings }, null, 2));
  } else {
    const rows = table(
      findings.map(({ name, ok, needed, found }) => [ok ? 'ok' : needed ? 'missing' : '-', name, found]),
    );
    const indent = ' '.repeat(4 + Math.max(...findings.map(({ ok, needed }) => (ok || !needed ? 2 : 7))));
    findings.forEach(({ ok, needed, hint }, i) => {
      screen.print(`  ${ok || !needed ? rows[i]! : screen.color.yellow(rows[i]!)}`);
      if (hint !== undefined) screen.print(`${indent}${hint}`);
    });
  }
  return findings.every(({ ok, needed }) => ok || !needed) ? 0 : 1;
}
