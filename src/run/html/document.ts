import { createHash } from 'node:crypto';
import { markup, trusted, type Markup } from './markup.js';
import { SCRIPT } from './script.js';
import { STYLE } from './style.js';

/**
 * A whole page that needs nothing beside it. Its content security policy lets it load nothing and run only its own script, whatever a model
 * calls its modules.
 */
export function documentHtml({ title, main, footer }: { title: string; main: Markup; footer: string }): string {
  const scriptHash = createHash('sha256').update(SCRIPT).digest('base64');
  const policy = `default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-${scriptHash}'`;
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>${trusted(STYLE)}</style>
<noscript><style>tbody[hidden] { display: table-row-group; }</style></noscript>
</head>
<body>
<main>
${main}</main>
<footer><p>${footer}</p></footer>
<script>${trusted(SCRIPT)}</script>
</body>
</html>
`.text;
}
