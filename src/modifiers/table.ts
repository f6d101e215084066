import { gptq } from './gptq.js';
import type { Modifier } from './modifier.js';
import { quantization } from './quantization.js';

/** The built-in modifiers. The options of each are checked against its schema before it sees them. */
const BUILT_IN: readonly Modifier[] = [quantization, gptq];

/** The built-in modifier by its exact name; undefined when there is none. */
export function builtInModifier(type: string): Modifier | undefined {
  return BUILT_IN.find(modifier => modifier.type === type);
}
