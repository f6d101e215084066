import { parseJsonStrict } from '../formats/jsonText.js';
import { NumberLiteral, sortedJson } from '../formats/sortedJson.js';
import { QUANTIZATION_KEYS } from '../runtime/model/config.js';
import type { Model } from '../runtime/model/model.js';
import { isRecord } from '../schemes/problem.js';
import type { Blueprint } from './output.js';
import { quantizationConfig } from './quantization-config.js';

type Json = Readonly<Record<string, unknown>>;

/** config.json of a checkpoint: the source's, with the quantization described, and with the truth about tied embeddings. */
export function checkpointConfig({ model, outcome }: Blueprint): string {
  const config = configOf(model);
  const { schemes, cache } = outcome;
  const flag = outcome.tied === model.tiedByConfig ? {} : { tie_word_embeddings: outcome.tied };
  const { text_config: text } = config;
  return sortedJson({
    ...config,
    ...flag,
    ...(isRecord(text) && 'tie_word_embeddings' in text && { text_config: { ...text, ...flag } }),
    ...(schemes.size > 0 && { quantization_config: quantizationConfig(model.modules, schemes, cache) }),
  });
}

/**
 * config.json without the quantization. A model with more than text says it, and its dtype, once more under text_config.
 * @param dtype as config.json spells it; undefined: what it was
 */
export function denseConfig(model: Model, dtype: string | undefined): string {
  const without = (config: Json): Json => {
    const dense = Object.fromEntries(Object.entries(config).filter(([key]) => !QUANTIZATION_KEYS.includes(key)));
    if (dtype !== undefined) dense['torch_dtype' in dense && !('dtype' in dense) ? 'torch_dtype' : 'dtype'] = dtype;
    const { text_config: text } = dense;
    return isRecord(text) ? { ...dense, text_config: without(text) } : dense;
  };
  return sortedJson(without(configOf(model)));
}

/** The source's config.json, every number as it is spelt there. */
function configOf({ folder, configText }: Model): Json {
  const number = (text: string) => new NumberLiteral(text);
  return parseJsonStrict(configText, { file: `${folder}/config.json`, python: true, number }) as Json;
}
