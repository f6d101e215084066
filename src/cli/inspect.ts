import { inspect } from '../run/inspect.js';
import { formatBytes, formatCount } from '../run/units.js';
import { table, type Screen } from './screen.js';

/** `tensorpress inspect` */
export async function inspectCommand(path: string, screen: Screen, { json }: { json: boolean }): Promise<void> {
  const found = await inspect(path);
  if (json) return screen.print(JSON.stringify(found, null, 2));
  const { architecture, quantization, run, tensors } = found;
  const facts = [
    architecture,
    quantization && `${quantization.method} ${quantization.format}, ${quantization.groups} groups`,
    `${tensors.length} tensors`,
    `${formatCount(found.parameters)} elements`,
    formatBytes(found.bytes),
    ...found.files.map(file => file.path),
  ];
  const rows = tensors.map(({ name, dtype, shape, bytes }) => [
    name,
    dtype,
    `[${shape.join(', ')}]`,
    formatBytes(bytes),
  ]);
  screen.print(
    [
      `  ${screen.color.bold(path)}  ${facts.filter(Boolean).join(', ')}`,
      ...(run
        ? [screen.color.dim(`  made by tensorpress ${run.tensorpress} from ${run.recipe} on ${run.date.slice(0, 10)}`)]
        : []),
      '',
      ...table(rows, { right: [3] }).map(row => `  ${row}`),
    ].join('\n'),
  );
}
