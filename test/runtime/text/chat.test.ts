import assert from 'node:assert/strict';
import { TensorpressError } from '../../../src/errors.js';
import { chatTemplate, type ChatSources } from '../../../src/runtime/text/chat.js';

const sources = (more: Partial<ChatSources>): ChatSources => ({
  config: {},
  file: undefined,
  processor: {},
  tokens: { bos_token: '<s>', eos_token: '</s>' },
  place: { file: 'tokenizer_config.json' },
  ...more,
});
const messages = [
  { role: 'user', content: 'hi' },
  { role: 'assistant', content: 'yes' },
];

describe('chatTemplate', () => {
  it('renders a conversation', () => {
    const template =
      "{{ bos_token }}{% for m in messages %}\n{% if m['role'] == 'user' %}[{{ m['content'] }}]{% else %}{{ m['content'] + eos_token }}{% endif %}\n{% endfor %}{% if add_generation_prompt %}>{% endif %}";
    const chat = chatTemplate(sources({ config: { chat_template: template } }))!;
    assert.equal(chat(messages), '<s>[hi]yes</s>');
  });

  it('prefers chat_template.jinja, then chat_template.json, and takes the default of several', () => {
    const config = {
      chat_template: [
        { name: 'tool_use', template: 'tool' },
        { name: 'default', template: 'config' },
      ],
    };
    assert.equal(chatTemplate(sources({ config }))!(messages), 'config');
    assert.equal(chatTemplate(sources({ config, processor: { chat_template: 'json' } }))!(messages), 'json');
    assert.equal(
      chatTemplate(sources({ config, processor: { chat_template: 'json' }, file: 'jinja' }))!(messages),
      'jinja',
    );
    assert.equal(chatTemplate(sources({})), undefined);
  });

  it('takes the date from the clock it is given', () => {
    const file = "{{ strftime_now('%d %b %Y %H:%M %-d %A %q') }}";
    const chat = chatTemplate(sources({ file }), () => new Date('2026-07-04T09:05:00Z'))!;
    assert.equal(chat(messages), '04 Jul 2026 09:05 4 Saturday %q');
  });

  it('names what a template refuses, and a template that is none', () => {
    const refusing = chatTemplate(sources({ file: "{{ raise_exception('roles must alternate') }}" }))!;
    assert.throws(
      () => refusing(messages),
      (error: unknown) =>
        error instanceof TensorpressError &&
        error.code === 'ARGUMENT' &&
        error.message === 'the chat template refuses the messages: roles must alternate',
    );
    const broken = chatTemplate(sources({ file: '{% for %}' }))!;
    assert.throws(
      () => broken(messages),
      (error: unknown) =>
        error instanceof TensorpressError &&
        error.code === 'MODEL' &&
        error.message.startsWith('the chat template is not'),
    );
  });
});
