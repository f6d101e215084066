import * as promises from 'node:fs/promises';
import { isCount, isRecord } from '../../formats/records.js';
import type { AddedToken } from './added-tokens.js';
import { chatTemplate, type ChatMessage } from './chat.js';
import type { Refuse } from './models.js';
import { encoder, type Pipeline } from './pipeline.js';
import { readSentencePiece, sentencePiecePipeline, type SentencePieceModel } from './sentencepiece.js';
import {
  parseJson,
  readTokenizerFiles,
  TEMPLATE,
  type Json,
  type TokenizerFiles,
  type TokenizerFs,
} from './tokenizer-files.js';
import { addedToken, readTokenizerJson } from './tokenizer-json.js';

export interface Tokenizer {
  /**
   * Token ids of a text, whole, with nothing added before or after it.
   * @param options.specials parse the names of special tokens in the text as these tokens. Default: false, they are text.
   */
  encode(text: string, options?: { specials?: boolean }): number[];
  /** As the model's own software tokenizes a prompt: special tokens parsed, and those put around it that the tokenizer puts around a text. */
  encodeWithSpecials(text: string): number[];
  /** The text of token ids, special tokens by name. */
  decode(ids: ArrayLike<number>): string;
  readonly bos: number | undefined;
  /** Every token that ends a text: generation_config.json's, and the tokenizer's own. */
  readonly eos: readonly number[];
  /** Whether `encodeWithSpecials` begins with `bos`. */
  readonly addsBos: boolean;
  /** A conversation as one text, by the model's chat template; undefined when it has none. */
  readonly chat: ((messages: readonly ChatMessage[]) => string) | undefined;
}

export interface TokenizerOptions {
  /** Rows of the model's embedding: no id may be as large. */
  readonly vocabulary?: number;
  /** Default: node:fs/promises. */
  readonly fs?: TokenizerFs;
}

/**
 * Opens the tokenizer of a model folder: tokenizer.json, or where there is none SentencePiece's tokenizer.model.
 * @throws TensorpressError MODEL when there is none, when it is damaged, uses a step that is not supported, or does not fit the vocabulary
 */
export async function loadTokenizer(
  folder: string,
  { vocabulary, fs = promises }: TokenizerOptions = {},
): Promise<Tokenizer> {
  const { main, small, template, placeOf, refuser } = await readTokenizerFiles(folder, fs);
  const refuse = refuser(main.name);
  const config = small['tokenizer_config.json'];
  const { pipeline, model } = readPipeline(main, config, refuse);
  const withExtra = addExtra(pipeline, config, small['added_tokens.json'], refuser('tokenizer_config.json'));

  const specials = { ...small['special_tokens_map.json'], ...withoutNulls(config) };
  const idOf = (name: string) => idOfToken(withExtra, contentOf(specials[name]));
  const generation = small['generation_config.json'];
  const bos = idOf('bos_token') ?? (model && model.bos >= 0 ? model.bos : oneId(generation['bos_token_id']));
  const ownEos = idOf('eos_token') ?? (model && model.eos >= 0 ? model.eos : undefined);
  const eos = [...new Set([...idList(generation['eos_token_id']), ...(ownEos === undefined ? [] : [ownEos])])];
  const fitted = fit(withExtra, [bos, ...eos], vocabulary, refuse);
  const { prefix, suffix } = around(fitted, { config, model, bos, eos: ownEos });
  const encode = encoder(fitted);

  return {
    encode: (text, options) => encode(text, options?.specials ?? false),
    encodeWithSpecials: text => [...prefix, ...encode(text, true), ...suffix],
    decode: ids => fitted.decode(Array.from(ids, id => fitted.tokens[id] ?? '')),
    bos,
    eos,
    addsBos: bos !== undefined && prefix[0] === bos,
    chat: chatTemplate({
      config,
      file: template,
      processor: small['chat_template.json'],
      tokens: Object.fromEntries(
        Object.entries(specials).flatMap(([name, value]) => {
          const content = name.endsWith('_token') ? contentOf(value) : undefined;
          return content === undefined ? [] : [[name, content]];
        }),
      ),
      place: placeOf(template === undefined ? 'tokenizer_config.json' : TEMPLATE),
    }),
  };
}

function readPipeline({ name, bytes }: TokenizerFiles['main'], config: Json, refuse: Refuse) {
  if (name === 'tokenizer.json')
    return { pipeline: readTokenizerJson(parseJson(bytes, refuse), refuse), model: undefined };
  const model = readSentencePiece(bytes, refuse);
  const dummyPrefix = config['add_prefix_space'] === false ? false : model.dummyPrefix;
  return { pipeline: sentencePiecePipeline({ ...model, dummyPrefix }, refuse), model };
}

/** Tokens that tokenizer_config.json and added_tokens.json add to those of the main file. */
function addExtra(pipeline: Pipeline, config: Json, added: Json, refuse: Refuse): Pipeline {
  const decoders = isRecord(config['added_tokens_decoder']) ? config['added_tokens_decoder'] : {};
  const listed = [
    ...Object.entries(decoders).map(([id, token]) => addedToken(token, refuse, id)),
    ...Object.entries(added).map(([content, id]) =>
      addedToken({ content, id, special: false, normalized: false }, refuse),
    ),
  ];
  const known = new Set(pipeline.added.map(({ content }) => content));
  const extra: AddedToken[] = [];
  for (const token of listed) {
    if (known.has(token.content)) continue;
    known.add(token.content);
    extra.push(token);
  }
  const tokens = [...pipeline.tokens];
  for (const { id, content } of extra) tokens[id] ??= content;
  return {
    ...pipeline,
    tokens,
    added: [...pipeline.added, ...extra.filter(({ id, content }) => tokens[id] === content)],
  };
}

/**
 * Special tokens beyond the model's vocabulary (placeholders for images, which some text models inherit) are dropped; any other id there
 * means that tokenizer and model do not belong together.
 */
function fit(
  pipeline: Pipeline,
  needed: readonly (number | undefined)[],
  vocabulary: number | undefined,
  refuse: Refuse,
): Pipeline {
  if (pipeline.tokens.length === 0) return refuse('has an empty vocabulary');
  if (vocabulary === undefined || pipeline.tokens.length <= vocabulary) return pipeline;
  const beyond = new Set(pipeline.added.flatMap(({ id, special }) => (special && id >= vocabulary ? [id] : [])));
  const used = new Set([...pipeline.prefix, ...pipeline.suffix, ...needed]);
  const fits = pipeline.tokens.every(
    (token, id) => id < vocabulary || token === undefined || (beyond.has(id) && !used.has(id)),
  );
  if (!fits)
    return refuse(`has ids up to ${pipeline.tokens.length - 1}, but the model's vocabulary has ${vocabulary} tokens`);
  return {
    ...pipeline,
    tokens: pipeline.tokens.slice(0, vocabulary),
    added: pipeline.added.filter(({ id }) => id < vocabulary),
  };
}

interface AroundOptions {
  config: Json;
  model: SentencePieceModel | undefined;
  bos: number | undefined;
  eos: number | undefined;
}

/** tokenizer_config.json's `add_bos_token` and `add_eos_token` go before the post-processor; SentencePiece models begin with BOS unless told. */
function around(
  pipeline: Pipeline,
  { config, model, bos, eos }: AroundOptions,
): { prefix: readonly number[]; suffix: readonly number[] } {
  const [addBos, addEos] = [config['add_bos_token'], config['add_eos_token']];
  if (typeof addBos !== 'boolean' && typeof addEos !== 'boolean' && model === undefined) return pipeline;
  return {
    prefix: (addBos ?? model !== undefined) === true && bos !== undefined ? [bos] : [],
    suffix: addEos === true && eos !== undefined ? [eos] : [],
  };
}

function idOfToken(pipeline: Pipeline, content: string | undefined): number | undefined {
  if (content === undefined) return undefined;
  const id = pipeline.tokens.indexOf(content);
  return id === -1 ? undefined : id;
}

/** A special token as config files spell it: its text, or an object with its text. */
function contentOf(value: unknown): string | undefined {
  const content = isRecord(value) ? value['content'] : value;
  return typeof content === 'string' ? content : undefined;
}

function withoutNulls(json: Json): Json {
  return Object.fromEntries(Object.entries(json).filter(([, value]) => value !== null));
}

function oneId(value: unknown): number | undefined {
  return isCount(value) ? value : undefined;
}

function idList(value: unknown): number[] {
  return (Array.isArray(value) ? (value as readonly unknown[]) : [value]).filter(isCount);
}
