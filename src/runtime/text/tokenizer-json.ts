import { isCount, isRecord } from '../../formats/records.js';
import type { AddedToken } from './added-tokens.js';
import { MAX_ID, tokenModel, type Refuse } from './models.js';
import type { Pipeline } from './pipeline.js';
import { decoder, normalizer, preTokenizer } from './steps.js';

type Json = Readonly<Record<string, unknown>>;

/** The pipeline that a tokenizer.json describes. Its `truncation` and `padding` are left aside: a text is tokenized whole. */
export function readTokenizerJson(json: unknown, refuse: Refuse): Pipeline {
  if (!isRecord(json)) return refuse('is not an object');
  const model = tokenModel(json['model'], refuse);
  const added = list(json['added_tokens']).map(token => addedToken(token, refuse));
  const tokens: (string | undefined)[] = [];
  for (const [token, id] of model.vocabulary) tokens[id] = token;
  for (const { id, content } of added) tokens[id] = content;

  const normalize = normalizer(json['normalizer'], refuse);
  const decode = decoder(json['decoder'], refuse);
  return {
    tokens,
    added,
    ...around(json['post_processor'], refuse),
    normalize,
    pieces: preTokenizer(json['pre_tokenizer'], refuse),
    encode: model.encode,
    decode: names => decode(names).join(''),
  };
}

/** An entry of `added_tokens`, or of `added_tokens_decoder` in tokenizer_config.json, where the id is the key. */
export function addedToken(value: unknown, refuse: Refuse, key?: string): AddedToken {
  const entry = isRecord(value) ? value : {};
  const id = key === undefined ? entry['id'] : Number(key);
  const content = entry['content'];
  if (!isCount(id) || id >= MAX_ID || typeof content !== 'string')
    return refuse('has an added token without a usable id and content');
  const special = entry['special'] === true;
  return {
    id,
    content,
    special,
    singleWord: entry['single_word'] === true,
    lstrip: entry['lstrip'] === true,
    rstrip: entry['rstrip'] === true,
    normalized: typeof entry['normalized'] === 'boolean' ? entry['normalized'] : !special,
  };
}

/** The tokens that a post-processor puts around one text. */
function around(config: unknown, refuse: Refuse): { prefix: number[]; suffix: number[] } {
  if (config == null) return { prefix: [], suffix: [] };
  if (!isRecord(config)) return refuse('has a post_processor that is not an object');
  switch (config['type']) {
    case 'ByteLevel':
      return { prefix: [], suffix: [] };
    case 'Sequence': {
      const steps = list(config['processors']).map(step => around(step, refuse));
      return {
        prefix: steps.toReversed().flatMap(step => step.prefix),
        suffix: steps.flatMap(step => step.suffix),
      };
    }
    case 'BertProcessing':
    case 'RobertaProcessing':
      return { prefix: [pairId(config['cls'], refuse)], suffix: [pairId(config['sep'], refuse)] };
    case 'TemplateProcessing':
      return template(config, refuse);
    default:
      return refuse(`uses the post-processor ${String(config['type'])}, which is not supported`);
  }
}

function template(config: Json, refuse: Refuse): { prefix: number[]; suffix: number[] } {
  const special = isRecord(config['special_tokens']) ? config['special_tokens'] : {};
  const prefix: number[] = [];
  const suffix: number[] = [];
  let ids = prefix;
  for (const item of list(config['single'])) {
    if (isRecord(item) && isRecord(item['Sequence'])) {
      ids = suffix;
      continue;
    }
    const name = isRecord(item) && isRecord(item['SpecialToken']) ? item['SpecialToken']['id'] : undefined;
    const token = typeof name === 'string' ? special[name] : undefined;
    const found = isRecord(token) ? list(token['ids']) : [];
    if (found.length === 0 || !found.every(isCount))
      return refuse('has a template with a token that it does not define');
    ids.push(...found);
  }
  return { prefix, suffix };
}

function pairId(value: unknown, refuse: Refuse): number {
  const id: unknown = Array.isArray(value) ? value[1] : undefined;
  return isCount(id) ? id : refuse('has a post_processor without its tokens');
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
