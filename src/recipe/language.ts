import { Ajv2020 } from 'ajv/dist/2020.js';
import type { ValidateFunction } from 'ajv';
import { bundle, modifierTypes, normalSchema, type Extension, type Schema } from './schema.js';

/** The recipe language with the modifiers and observers that are known: the schemas, and validators compiled from them. */
export class Language {
  /** Every accepted spelling. */
  readonly full: Schema;
  /** The normal form. */
  readonly normal: Schema;
  /** Names of the modifiers. */
  readonly types: readonly string[];
  readonly #validators = new Map<string, ValidateFunction>();

  constructor(extension: Extension = {}) {
    this.full = bundle(extension);
    this.normal = normalSchema(this.full);
    this.types = modifierTypes(this.full);
  }

  /** A validator of the normal form for recipes that use these modifiers only: compiling all of them would double the start-up time. */
  validator(types: Iterable<string>): ValidateFunction {
    const used = this.types.filter(type => new Set(types).has(type));
    const name = used.join();
    const found = this.#validators.get(name);
    if (found !== undefined) return found;

    const { $defs } = this.normal;
    const { modifiers } = $defs as { modifiers: Schema };
    const properties = Object.fromEntries(used.map(type => [type, modifiers.properties![type]!]));
    const schema = { ...this.normal, $defs: { ...$defs, modifiers: { ...modifiers, properties } } };
    // the schemas themselves are checked in strict mode by the tests; here only the start-up time counts
    const ajv = new Ajv2020({
      allErrors: true,
      verbose: true,
      discriminator: true,
      strict: false,
      validateSchema: false,
      meta: false,
      inlineRefs: false,
      code: { optimize: false },
    });
    const validate = ajv.compile(schema);
    this.#validators.set(name, validate);
    return validate;
  }
}

const BUILT_IN: Extension = {};
const known = new WeakMap<Extension, Language>();

/** The language for a set of plugins; made once for each. */
export function languageOf(extension: Extension = BUILT_IN): Language {
  const found = known.get(extension) ?? new Language(extension);
  known.set(extension, found);
  return found;
}
