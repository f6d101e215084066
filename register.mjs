// Development and tests run the TypeScript sources as they are; types are checked by `npm run types`.
import { register } from 'node:module';
process.env.TS_NODE_TRANSPILE_ONLY ??= '1';
register('ts-node/esm', import.meta.url);
