import type { YAMLError } from 'yaml';
import { quote } from './findings.js';
import type { Source } from './source.js';

/** Our words for the syntax errors that people make; the library's own for the rest. */
export function explainSyntax(
  { code, message, pos }: YAMLError,
  source: Source,
  base: number,
): { code: string; message: string; hint?: string } {
  const syntax = (text: string, hint?: string) => ({
    code: 'syntax',
    message: text,
    ...(hint === undefined ? {} : { hint }),
  });
  const unclosed = /end with a ([\]}])$|closing (["'])quote$/.exec(message);
  if (unclosed !== null)
    return syntax(`the closing ${unclosed[1] ?? unclosed[2]!} is missing`, 'close what was opened before');
  switch (code) {
    case 'TAG_RESOLVE_FAILED': {
      const tag = source.text.slice(base + pos[0], base + pos[1]).trim();
      const { line } = source.position(base + pos[0]);
      return {
        code: 'tag',
        message: `the tag ${quote(tag)} is not read: a recipe is plain data`,
        hint: `remove ${quote(tag)} from line ${line}; a plain list or map means the same`,
      };
    }
    case 'TAB_AS_INDENT':
      return syntax('a tab cannot indent', 'use spaces');
    case 'BAD_INDENT':
      return syntax(
        'the indentation does not fit what stands around it',
        'members of one map or list start in the same column',
      );
    case 'MULTILINE_IMPLICIT_KEY':
    case 'BLOCK_AS_IMPLICIT_KEY':
      return syntax('this is not a key with a value', 'write "key: value", with a space after the colon');
    case 'BAD_SCALAR_START':
      return syntax('a text cannot start with this character', 'put it in quotes');
    case 'BAD_DQ_ESCAPE':
      return syntax(
        'unknown escape in a double-quoted text',
        "write \\\\ for a backslash, or use single quotes: 're:.*\\.q_proj$'",
      );
    default:
      return syntax(message.charAt(0).toLowerCase() + message.slice(1).replace(/\.$/, ''));
  }
}
