import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { TensorpressError } from '../../../src/errors.js';
import { downloadFile, type DownloadOptions, type RemoteFile } from '../../../src/runtime/model/download.js';
import { tempFolder } from '../../support/temp.js';

const content = Buffer.from(Array.from({ length: 1000 }, (_, i) => (i * 7919) >> 3));
const file: RemoteFile = {
  name: 'model.safetensors',
  url: 'http://hub/model.safetensors',
  bytes: content.length,
  hash: { expected: createHash('sha256').update(content).digest('hex'), start: () => createHash('sha256') },
};

type Answer = (from: number) => Response;
const whole: Answer = () => new Response(content);
const rest: Answer = from =>
  from === 0
    ? new Response(content)
    : new Response(content.subarray(from), { status: 206, headers: { 'Content-Range': `bytes ${from}-999/1000` } });
/** Sends `count` bytes of what is asked for, then breaks off. */
const breaking =
  (count: number): Answer =>
  from => {
    let sent = count === 0;
    const body = new ReadableStream({
      pull(controller) {
        if (sent) return controller.error(new TypeError('terminated'));
        controller.enqueue(new Uint8Array(content.subarray(from, from + count)));
        sent = true;
      },
    });
    const range = { status: 206, headers: { 'Content-Range': `bytes ${from}-999/1000` } };
    return new Response(body, from === 0 ? {} : range);
  };
/** Sends `count` bytes and ends as if that were all. */
const short =
  (count: number): Answer =>
  from =>
    new Response(
      content.subarray(from, from + count),
      from === 0 ? {} : { status: 206, headers: { 'Content-Range': `bytes ${from}-999/1000` } },
    );

/** Answers in turn, the last one for ever; records where each request starts. */
function server(...answers: Answer[]) {
  const asked: number[] = [];
  const options: DownloadOptions = {
    get(_url, headers) {
      const from = Number(/^bytes=(\d+)-$/.exec(headers['Range'] ?? '')?.[1] ?? 0);
      asked.push(from);
      return Promise.resolve(answers[Math.min(asked.length, answers.length) - 1]!(from));
    },
    wait: () => Promise.resolve(),
  };
  return { asked, options };
}

const fails = (promise: Promise<void>, message: RegExp) =>
  assert.rejects(
    promise,
    (e: unknown) =>
      e instanceof TensorpressError && e.code === 'NETWORK' && message.test(e.message) && e.hint !== undefined,
  );

describe('downloadFile', () => {
  let target: string;
  beforeEach(() => {
    target = join(tempFolder(), file.name);
  });
  const arrived = () => readFileSync(target).equals(content) && !existsSync(`${target}.part`);

  it('asks once for a file, and not again for one that is there', async () => {
    const { asked, options } = server(whole);
    await downloadFile(file, target, options);
    await downloadFile(file, target, options);
    assert.ok(arrived());
    assert.deepEqual(asked, [0]);
  });

  it('continues a part, and takes a complete one as it is', async () => {
    writeFileSync(`${target}.part`, content.subarray(0, 400));
    const { asked, options } = server(rest);
    await downloadFile(file, target, options);
    assert.ok(arrived());
    assert.deepEqual(asked, [400]);

    target = join(tempFolder(), file.name);
    writeFileSync(`${target}.part`, content);
    await downloadFile(file, target, server(() => assert.fail('asked')).options);
    assert.ok(arrived());
  });

  it('starts over where the server does not continue, or the part is too long', async () => {
    const start = async (part: Buffer, ...answers: Answer[]) => {
      target = join(tempFolder(), file.name);
      writeFileSync(`${target}.part`, part);
      const { asked, options } = server(...answers);
      await downloadFile(file, target, options);
      assert.ok(arrived());
      return asked;
    };
    assert.deepEqual(await start(content.subarray(0, 400), whole), [400]);
    assert.deepEqual(await start(content.subarray(0, 400), () => new Response(null, { status: 416 }), rest), [400, 0]);
    const elsewhere: Answer = () =>
      new Response(content.subarray(9), { status: 206, headers: { 'Content-Range': 'bytes 9-999/1000' } });
    assert.deepEqual(await start(content.subarray(0, 400), elsewhere, rest), [400, 0]);
    assert.deepEqual(await start(Buffer.concat([content, content]), rest), [0]);
  });

  it('comes through any sequence of broken connections that bring something', async () => {
    const answer = fc.oneof(
      fc.integer({ min: 1, max: 999 }).map(breaking),
      fc.integer({ min: 1, max: 999 }).map(short),
      fc.constant(rest),
      fc.constant(breaking(0)),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(answer, { maxLength: 6 }), async answers => {
        target = join(tempFolder(), file.name);
        // no more than three attempts in a row may bring nothing
        const spaced = answers.flatMap(a => [a, breaking(1)]);
        await downloadFile(file, target, server(...spaced, rest).options);
        assert.ok(arrived());
      }),
      { numRuns: 50 },
    );
  });

  it('gives up after attempts that bring nothing, and keeps what came', async () => {
    const { asked, options } = server(breaking(300), breaking(0));
    await fails(downloadFile(file, target, options), /could not be fetched: the connection broke off/);
    assert.deepEqual(asked, [0, 300, 300, 300, 300]);
    assert.ok(readFileSync(`${target}.part`).equals(content.subarray(0, 300)));
    await fails(downloadFile(file, target, server(short(0)).options), /it ended after 300 of 1000 bytes/);
    const longer: Answer = () => new Response(Buffer.concat([content, content]));
    await fails(downloadFile(file, target, server(longer).options), /longer than the 1000 bytes/);
  });

  it('throws damaged bytes away', async () => {
    writeFileSync(`${target}.part`, Buffer.alloc(400));
    await fails(downloadFile(file, target, server(rest).options), /came damaged/);
    assert.equal(existsSync(`${target}.part`), false);
    assert.equal(existsSync(target), false);
    await downloadFile(file, target, server(rest).options);
    assert.ok(arrived());
  });
});
