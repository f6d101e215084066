import { mergedSchema } from '../recipe/schema.js';
import { writeWhole } from '../formats/files.js';
import type { Screen } from './screen.js';

/** `tensorpress schema`: one self-contained file for editors. */
export async function schemaCommand(out: string | undefined, screen: Screen): Promise<void> {
  const text = JSON.stringify(mergedSchema(), null, 2);
  if (out === undefined) return screen.print(text);
  await writeWhole(out, `${text}\n`);
  screen.say(`${out} written; point your editor's YAML plugin at it`);
}
