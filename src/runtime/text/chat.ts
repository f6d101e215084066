import { TensorpressError, type Place } from '../../errors.js';
import { isRecord } from '../../formats/records.js';
import { jinja, type JinjaTemplate } from './huggingface.js';

/** One turn of a conversation; templates may use more than role and content (tool calls). */
export interface ChatMessage {
  readonly role: string;
  readonly content?: unknown;
  readonly [key: string]: unknown;
}

export interface ChatSources {
  /** tokenizer_config.json; its `chat_template` is the template, or a list of named ones. */
  readonly config: Readonly<Record<string, unknown>>;
  /** chat_template.jinja, which goes before the others. */
  readonly file: string | undefined;
  /** chat_template.json. */
  readonly processor: Readonly<Record<string, unknown>>;
  /** bos_token, eos_token, ... by name, as the template sees them. */
  readonly tokens: Readonly<Record<string, string>>;
  /** Where errors say the template is. */
  readonly place: Place;
}

/**
 * The chat template of a model as a function, undefined when it has none. The template is read at the first call, so that a template that
 * nobody uses stops nobody.
 * @param clock what `strftime_now` shows, in UTC. Default: the time of the call
 * @throws TensorpressError MODEL when the template is not valid, ARGUMENT when it refuses the messages
 */
export function chatTemplate({ config, file, processor, tokens, place }: ChatSources, clock = () => new Date()) {
  const source = file ?? named(processor['chat_template']) ?? named(config['chat_template']);
  if (source === undefined) return undefined;
  let template: JinjaTemplate | undefined;

  return (messages: readonly ChatMessage[]): string => {
    try {
      template ??= new jinja.Template(source);
    } catch (error) {
      throw new TensorpressError('MODEL', `the chat template is not valid: ${messageOf(error)}`, {
        place,
        hint: 'fetch the tokenizer again, or give plain text instead of messages',
        cause: error,
      });
    }
    try {
      return render(template, {
        bos_token: '',
        eos_token: '',
        ...tokens,
        tools: null,
        documents: null,
        strftime_now: (format: string) => strftime(format, clock()),
        messages,
        add_generation_prompt: false,
      });
    } catch (error) {
      throw new TensorpressError('ARGUMENT', `the chat template refuses the messages: ${messageOf(error)}`, {
        place,
        hint: 'check the roles and their order, or give plain text instead of messages',
        cause: error,
      });
    }
  };
}

const CONSTANTS = { true: true, True: true, false: false, False: false, none: null, None: null };

/** `Template.render`, whose own `strftime_now` has a clock that cannot be set. */
function render(template: JinjaTemplate, variables: Readonly<Record<string, unknown>>): string {
  const environment = new jinja.Environment();
  const all = { ...CONSTANTS, raise_exception, range, ...variables };
  for (const [name, value] of Object.entries(all)) environment.set(name, value);
  return String(new jinja.Interpreter(environment).run(template.parsed).value);
}

function raise_exception(message: string): never {
  throw new Error(message);
}

/** Python's range. */
function range(...bounds: number[]): number[] {
  const [start, stop, step = 1] = bounds.length === 1 ? [0, bounds[0]!] : bounds;
  if (step === 0) throw new Error('range() with a step of 0');
  const count = Math.max(0, Math.ceil((stop! - start!) / step));
  return Array.from({ length: count }, (_, i) => start! + i * step);
}

/** A template, or the one called `default` of several. */
function named(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  const list: readonly unknown[] = Array.isArray(value) ? value : [];
  const entries = list.filter(isRecord);
  const chosen = entries.find(({ name }) => name === 'default') ?? (entries.length === 1 ? entries[0] : undefined);
  const template = chosen?.['template'];
  return typeof template === 'string' ? template : undefined;
}

const MONTHS = 'January February March April May June July August September October November December'.split(' ');
const DAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');

/** C's strftime in UTC and English, the conversions that chat templates use; others stay as they are. */
function strftime(format: string, date: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const month = MONTHS[date.getUTCMonth()]!;
  const day = DAYS[date.getUTCDay()]!;
  const values: Readonly<Record<string, string>> = {
    Y: String(date.getUTCFullYear()),
    y: two(date.getUTCFullYear() % 100),
    m: two(date.getUTCMonth() + 1),
    d: two(date.getUTCDate()),
    e: String(date.getUTCDate()).padStart(2),
    H: two(date.getUTCHours()),
    I: two(date.getUTCHours() % 12 || 12),
    M: two(date.getUTCMinutes()),
    S: two(date.getUTCSeconds()),
    p: date.getUTCHours() < 12 ? 'AM' : 'PM',
    B: month,
    b: month.slice(0, 3),
    A: day,
    a: day.slice(0, 3),
    '%': '%',
  };
  return format.replace(/%-?([A-Za-z%])/g, (all, letter: string) => {
    const value = values[letter];
    return value === undefined ? all : all.startsWith('%-') ? value.replace(/^[0 ](?=.)/, '') : value;
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
