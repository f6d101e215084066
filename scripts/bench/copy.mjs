// What a run is compared with: copies the files of a folder in one process, each read, hashed with SHA-256, written and flushed to the disk.
// node copy.mjs FROM TO
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

const [from, to] = process.argv.slice(2);
const highWaterMark = 1 << 22;
await mkdir(to, { recursive: true });
for (const name of await readdir(from)) {
  const hash = createHash('sha256');
  await pipeline(
    createReadStream(join(from, name), { highWaterMark }),
    async function* (chunks) {
      for await (const chunk of chunks) {
        hash.update(chunk);
        yield chunk;
      }
    },
    createWriteStream(join(to, name), { highWaterMark, flush: true }),
  );
  process.stdout.write(`${hash.digest('hex')}  ${name}\n`);
}
