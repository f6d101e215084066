import { convert, type ConvertOptions } from '../run/convert.js';
import { formatBytes } from '../run/units.js';
import type { Screen } from './screen.js';

/** `tensorpress convert` */
export async function convertCommand(
  options: ConvertOptions,
  screen: Screen,
  { json }: { json: boolean },
): Promise<void> {
  const result = await convert(options);
  if (json) return screen.print(JSON.stringify(result, null, 2));
  screen.say(`  ${result.modules} modules decompressed, ${formatBytes(result.bytes)} in ${options.out}`);
  if (result.dropped !== null) screen.say(`  ${result.dropped}`);
}
