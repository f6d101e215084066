import { doctor } from '../run/doctor.js';
import { table, type Screen } from './screen.js';

/** `tensorpress doctor`: exit code 1 when something that every run needs is missing. */
export async function doctorCommand(screen: Screen, { json }: { json: boolean }): Promise<number> {
  const findings = await doctor();
  if (json) {
    screen.print(JSON.stringify({ findings }, null, 2));
  } else {
    const rows = table(findings.map(({ name, ok, found }) => [ok ? 'ok' : 'missing', name, found]));
    findings.forEach(({ ok, hint }, i) => {
      screen.print(`  ${ok ? rows[i]! : screen.color.yellow(rows[i]!)}`);
      if (hint !== undefined) screen.print(`           ${hint}`);
    });
  }
  return findings.every(({ ok }) => ok) ? 0 : 1;
}
